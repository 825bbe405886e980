#include "switchboard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct cn_seat) + sizeof(uint32_t) <= 64,
               "a further tag costs at most 64 octets: a seat, and a bucket");

enum { BUCKET_COUNT_MIN = 64 };

/* Multilinear hashing with a secret key (Dietzfelbinger 1996): however two tags were chosen without
 * knowing the key, the chance that they share a bucket is about one in bucket_count. */
static uint32_t bucket_of(const struct cn_switchboard *board, const uint8_t tag[CN_TAG_SIZE])
{
    uint64_t sum = board->key[CN_TAG_SIZE / 4];

    for (size_t i = 0; i < CN_TAG_SIZE / 4; i++) {
        uint32_t word;

        memcpy(&word, tag + 4 * i, sizeof word);
        sum += board->key[i] * word;
    }
    return (uint32_t)((sum >> 32) * board->bucket_count >> 32);
}

static uint32_t *first_of(struct cn_switchboard *board, const uint8_t tag[CN_TAG_SIZE])
{
    return &board->buckets[bucket_of(board, tag)];
}

/* Before the first of a bucket is its last. */
static uint32_t last_of(const struct cn_switchboard *board, uint32_t first)
{
    return first == CN_SEAT_NONE ? CN_SEAT_NONE : board->seats[first].before_in_bucket;
}

enum cn_err cn_switchboard_init(struct cn_switchboard *board, uint32_t seat_max,
                                const struct cn_random *random)
{
    struct cn_switchboard b = { .seat_max = seat_max, .bucket_count = BUCKET_COUNT_MIN };
    enum cn_err err = cn_random_fill(random, (uint8_t *)b.key, sizeof b.key);

    if (err != CN_OK)
        return err;
    if (seat_max > b.bucket_count)
        b.bucket_count = seat_max;
    b.seats = calloc((size_t)seat_max + 1, sizeof *b.seats); /* number 0 is none */
    b.buckets = calloc(b.bucket_count, sizeof *b.buckets);
    if (!b.seats || !b.buckets) {
        free(b.seats);
        free(b.buckets);
        return CN_E_MEMORY;
    }
    *board = b;
    return CN_OK;
}

void cn_switchboard_wipe(struct cn_switchboard *board)
{
    if (!board)
        return;
    free(board->seats);
    free(board->buckets);
    cn_wipe(board, sizeof *board);
}

/* --- seats ----------------------------------------------------------------------------------- */

/* Seats are handed out in order at first, so that what was never used is never touched. */
static uint32_t seat_take(struct cn_switchboard *board)
{
    uint32_t seat = board->free_seat;

    if (seat != CN_SEAT_NONE)
        board->free_seat = board->seats[seat].next_of_waiter;
    else if (board->seats_used < board->seat_max)
        seat = ++board->seats_used;
    return seat;
}

static void seat_give(struct cn_switchboard *board, uint32_t seat)
{
    struct cn_seat *s = &board->seats[seat];

    memset(s, 0, sizeof *s);
    s->next_of_waiter = board->free_seat;
    board->free_seat = seat;
}

static void bucket_insert(struct cn_switchboard *board, uint32_t seat, bool at_head)
{
    struct cn_seat *s = &board->seats[seat];
    uint32_t *first = first_of(board, s->tag);
    uint32_t last = last_of(board, *first);

    s->next_in_bucket = at_head ? *first : CN_SEAT_NONE;
    s->before_in_bucket = *first == CN_SEAT_NONE ? seat : last;
    if (*first != CN_SEAT_NONE)
        board->seats[*first].before_in_bucket = seat;
    if (*first != CN_SEAT_NONE && !at_head)
        board->seats[last].next_in_bucket = seat;
    else
        *first = seat;
}

static void bucket_remove(struct cn_switchboard *board, uint32_t seat)
{
    const struct cn_seat *s = &board->seats[seat];
    uint32_t *first = first_of(board, s->tag);
    uint32_t behind;

    if (*first == seat)
        *first = s->next_in_bucket;
    else
        board->seats[s->before_in_bucket].next_in_bucket = s->next_in_bucket;
    behind = s->next_in_bucket == CN_SEAT_NONE ? *first : s->next_in_bucket;
    if (behind != CN_SEAT_NONE)
        board->seats[behind].before_in_bucket = s->before_in_bucket;
}

static bool seat_add(struct cn_switchboard *board, struct cn_waiter *waiter,
                     const struct cn_entry *entry, bool at_head)
{
    uint32_t seat = seat_take(board);
    struct cn_seat *s;

    if (seat == CN_SEAT_NONE)
        return false;
    s = &board->seats[seat];
    memcpy(s->tag, entry->tag, sizeof s->tag);
    s->mode = (uint8_t)entry->mode;
    s->waiter = waiter;
    s->next_of_waiter = waiter->seat_count > 0 ? waiter->seat : CN_SEAT_NONE;
    waiter->seat = seat;
    waiter->seat_count++;
    bucket_insert(board, seat, at_head);
    return true;
}

void cn_switchboard_leave(struct cn_switchboard *board, struct cn_waiter *waiter)
{
    while (waiter->seat_count > 0) {
        uint32_t seat = waiter->seat;

        waiter->seat = board->seats[seat].next_of_waiter;
        waiter->seat_count--;
        bucket_remove(board, seat);
        seat_give(board, seat);
    }
}

/* --- matching -------------------------------------------------------------------------------- */

static bool same_key(const struct cn_waiter *a, const struct cn_waiter *b)
{
    return memcmp(a->admission_key, b->admission_key, sizeof a->admission_key) == 0;
}

static bool sits_under(const struct cn_seat *seat, const uint8_t tag[CN_TAG_SIZE],
                       enum cn_mode mode)
{
    return seat->mode == mode && memcmp(seat->tag, tag, CN_TAG_SIZE) == 0;
}

static enum cn_mode opposite(enum cn_mode mode)
{
    return mode == CN_MODE_OUTPUT ? CN_MODE_INPUT : CN_MODE_OUTPUT;
}

/* Who came first of those that the waiter could be joined with under this entry; NULL: nobody. */
static struct cn_waiter *partner_for(struct cn_switchboard *board, const struct cn_waiter *waiter,
                                     const struct cn_entry *entry, uint64_t now_ms)
{
    uint32_t seat = *first_of(board, entry->tag);

    for (; seat != CN_SEAT_NONE; seat = board->seats[seat].next_in_bucket) {
        const struct cn_seat *s = &board->seats[seat];

        if (sits_under(s, entry->tag, opposite(entry->mode)) && !same_key(s->waiter, waiter) &&
            s->waiter->alive_until_ms > now_ms)
            return s->waiter;
    }
    return NULL;
}

/* Another line of the same subscriber under this entry; NULL: none. */
static struct cn_waiter *twin_of(struct cn_switchboard *board, const struct cn_waiter *waiter,
                                 const struct cn_entry *entry)
{
    uint32_t seat = *first_of(board, entry->tag);

    for (; seat != CN_SEAT_NONE; seat = board->seats[seat].next_in_bucket) {
        const struct cn_seat *s = &board->seats[seat];

        if (s->waiter != waiter && sits_under(s, entry->tag, entry->mode) &&
            same_key(s->waiter, waiter))
            return s->waiter;
    }
    return NULL;
}

static void replace_older(struct cn_switchboard *board, const struct cn_waiter *waiter,
                          const struct cn_entry *entry, cn_replaced *replaced, void *context)
{
    struct cn_waiter *old;

    while ((old = twin_of(board, waiter, entry)) != NULL) {
        cn_switchboard_leave(board, old);
        replaced(context, old);
    }
}

/* Whether the waiter, who is taking its seats, has one under this entry: those are the last in
 * their bucket, so that nobody else's are looked at. */
static bool is_seated(struct cn_switchboard *board, const struct cn_waiter *waiter,
                      const struct cn_entry *entry)
{
    uint32_t first = *first_of(board, entry->tag);
    uint32_t seat = last_of(board, first);

    while (seat != CN_SEAT_NONE && board->seats[seat].waiter == waiter) {
        if (sits_under(&board->seats[seat], entry->tag, entry->mode))
            return true;
        seat = seat == first ? CN_SEAT_NONE : board->seats[seat].before_in_bucket;
    }
    return false;
}

enum cn_err cn_switchboard_register(struct cn_switchboard *board, struct cn_waiter *waiter,
                                    const struct cn_entry *entries, size_t count, uint64_t now_ms,
                                    cn_replaced *replaced, void *context, struct cn_match *match)
{
    struct cn_match best = { 0 };

    cn_switchboard_leave(board, waiter);
    for (size_t i = 0; i < count; i++) {
        struct cn_waiter *partner;

        replace_older(board, waiter, &entries[i], replaced, context);
        partner = partner_for(board, waiter, &entries[i], now_ms);
        if (partner && (!best.partner || memcmp(entries[i].tag, best.entry.tag, CN_TAG_SIZE) < 0))
            best = (struct cn_match) { partner, entries[i] };
    }
    for (size_t i = 0; !best.partner && i < count; i++) {
        if (!is_seated(board, waiter, &entries[i]) &&
            !seat_add(board, waiter, &entries[i], false)) {
            cn_switchboard_leave(board, waiter);
            return CN_E_LIMIT;
        }
    }
    if (best.partner)
        cn_switchboard_leave(board, best.partner);
    *match = best;
    return CN_OK;
}

enum cn_err cn_switchboard_return(struct cn_switchboard *board, struct cn_waiter *waiter,
                                  const struct cn_entry *entry, uint64_t now_ms,
                                  struct cn_match *match)
{
    struct cn_match found = { partner_for(board, waiter, entry, now_ms), *entry };

    assert(waiter->seat_count == 0);
    if (twin_of(board, waiter, entry))
        return CN_E_EXISTS;
    if (found.partner)
        cn_switchboard_leave(board, found.partner);
    else if (!seat_add(board, waiter, entry, true))
        return CN_E_LIMIT;
    *match = found;
    return CN_OK;
}
