/* One frame, wherever in a record: any number of octets, of any values. */
#include "frame.h"
#include "any.h"

int main(void)
{
    static uint8_t first; /* frame.c looks at it before it takes it */
    struct cn_reader r = { &first, any_size(65518), false };
    struct cn_frame frame;

    first = any_u8();
    return cn_frame_decode(&frame, &r) != CN_OK;
}
