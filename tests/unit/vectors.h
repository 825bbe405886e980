/* vectors.h - the text vectors of tests/vectors: one `name = octets in hex` a line, # begins a
 * comment, a blank line ends a vector. Programs of tests run at the top of the source. */
#ifndef CN_TEST_VECTORS_H
#define CN_TEST_VECTORS_H

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VECTOR_FIELD_COUNT_MAX = 128, VECTOR_LINE_SIZE_MAX = 16384 };

struct vector_field {
    char name[64];
    uint8_t *octets; /* owned */
    size_t size;
};

struct vector {
    size_t count;
    struct vector_field field[VECTOR_FIELD_COUNT_MAX];
};

static inline void vector_wipe(struct vector *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->field[i].octets);
    v->count = 0;
}

/* Anything that is no vector stops the program: the file is ours. */
static inline void vector_line(struct vector *v, char *line)
{
    struct vector_field *f = &v->field[v->count];
    char *equals = strchr(line, '=');
    char *hex = equals ? equals + 1 + strspn(equals + 1, " ") : NULL;
    size_t name_size = equals ? (size_t)(equals - line) : 0;
    size_t hex_size = hex ? strspn(hex, "0123456789abcdef") : 1;

    while (name_size > 0 && line[name_size - 1] == ' ')
        name_size--;
    if (v->count == VECTOR_FIELD_COUNT_MAX || name_size == 0 || name_size >= sizeof f->name ||
        hex_size % 2 != 0 || hex[hex_size + strspn(hex + hex_size, " \n")] != '\0')
        abort();
    memcpy(f->name, line, name_size);
    f->name[name_size] = '\0';
    f->size = hex_size / 2;
    f->octets = calloc(1, f->size + 1);
    if (!f->octets)
        abort();
    for (size_t i = 0; i < f->size; i++) {
        char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

        f->octets[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    v->count++;
}

/* The next vector of the file; false at its end. Wipe it before the next. */
static inline bool vector_next(FILE *file, struct vector *v)
{
    static char line[VECTOR_LINE_SIZE_MAX];

    v->count = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        if (line[0] != '\n')
            vector_line(v, line);
        else if (v->count > 0)
            return true;
    }
    return v->count > 0;
}

/* NULL if the vector has no such field. */
static inline const struct vector_field *vector_field(const struct vector *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->field[i].name, name) == 0)
            return &v->field[i];
    }
    return NULL;
}

/* Stops the program if it is absent or of another size. */
static inline const uint8_t *vector_octets(const struct vector *v, const char *name, size_t size)
{
    const struct vector_field *f = vector_field(v, name);

    if (!f || f->size != size)
        abort();
    return f->octets;
}

#endif
