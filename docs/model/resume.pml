/* resume.pml - a call that outlives its connections: acknowledge, resume, close. PROTOCOL.md 6.3 to 6.5
 *
 * Two ends and two streams, of which A opens 0 and B opens 1. Who has opened one sends units on it, of which the other
 * takes in WINDOW at most, and an end; the other sends an end alone. Two frames are under way each way at most. A
 * connection can be lost at any time, and any number of times, until it is calm; what is under way is lost with it, and
 * each end notices by itself. The reader of stream 0 says that all is durable, the one of stream 1 may give it up. Built
 * with HARD, an end may lose patience, and a process may be killed.
 *
 * Built with one of BREAK_... it is wrong in one way, which must be found. tests/model.py builds all. */

#ifndef UNITS
#define UNITS 1 /* on stream 0; on the other is one */
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
/* NO_DURABLE, NO_RESET: nobody does so, so that there are fewer states. ALWAYS: it is never calm. */

#define A 0
#define B 1
#define OTHER(i) (1 - (i))
#define AT(i, s) (2 * (i) + (s))                /* stream s, as end i has it */
#define SIZE(i, s) ((i) != (s) -> 0 : ((s) == 0 -> UNITS : 1)) /* what end i sends on it */
#define FINAL(i, s) SIZE(OTHER(i), s)

mtype = { OPEN, DATA, ACK, FIN, RESET, PING, PONG, RESUME, CLOSE, END };

/* What is on the way to each end: a type, a stream, and two numbers. ACK is RECEIVED, WINDOW and DURABLE in one; RESUME
 * is all that is said first on another connection, with a position of each stream, 0 of one that is not named; END is
 * the connection's own. */
chan line[2] = [2] of { mtype, bit, short, short };

bool on[2];     /* the connection stands, as far as this end knows */
bool joined[2]; /* there is another, which it has not begun with */
bool gone[2];
byte taken[4];  /* by the program, of what has come */
bool reset[4];
bool well[2];   /* CLOSE was sent and has come */
bool calm;      /* no more is lost */
bool hard;      /* a process was killed, or somebody lost patience */

/* As RECEIVED. The end counts as one, when the program has read all before it. */
#ifdef BREAK_END_UNREAD
#define EXPECTED(s) (arrived[s] + ended[s])
#else
#define EXPECTED(s) (arrived[s] + (ended[s] && taken[AT(i, s)] == FINAL(i, s)))
#endif

/* A RESUME's word about a stream. */
#define POSITION(s) (64 * said[s] + 8 * allowed[s] + 4 * ended[s] + 2 * reset[AT(i, s)] + (durable && s == 0))
#define P_EXPECTED(p) ((p) / 64)
#define P_LIMIT(p) (((p) / 8) % 8)
#define P_ENDED(p) (((p) / 4) % 2)
#define P_RESET(p) (((p) / 2) % 2)
#define P_DURABLE(p) ((p) % 2)

#define COMPLETE(s) (fin_received[s] && ended[s] && said[s] == FINAL(i, s) + 1)
#define OVER(s) (reset[AT(i, s)] || COMPLETE(s))
#define DURABLE_DUE(s) (durable_due && s == 0)
/* Nothing is left to be said about it; and nothing to be heard, which its program waits for. */
#define SAID_ALL(s) (OVER(s) && !open_due[s] && !unheard[s] && !DURABLE_DUE(s))
#define FORGOTTEN(s) (SAID_ALL(s) && (reset[AT(i, s)] || i == B || s == 1 || told_durable || !SAYS_DURABLE))
#define NAMED(s) (known[s] && !open_due[s] && !SAID_ALL(s))

#define ROOM (!(on[OTHER(i)] || joined[OTHER(i)]) || nfull(line[OTHER(i)]))
#define SAYS (on[i] && !close_sent && ROOM)
#define TALKS (SAYS && heard)
#define LIVES(s) (known[s] && !open_due[s] && !reset[AT(i, s)])

#define CAN_OPEN(s) open_due[s]
#define CAN_DATA(s) (LIVES(s) && sent[s] < SIZE(i, s) && sent[s] < limit[s])
#define CAN_FIN(s) (LIVES(s) && sent[s] == SIZE(i, s) && !fin_sent[s])
#define WIDENS(s) (!ended[s] && taken[AT(i, s)] + WINDOW > allowed[s])
#ifdef BREAK_CHATTER
#define CAN_ACK(s) (LIVES(s) && arrived[s] > 0)
#else
#define CAN_ACK(s) (LIVES(s) && (EXPECTED(s) != said[s] || WIDENS(s) || DURABLE_DUE(s)))
#endif
#define CAN_TAKE(s) (LIVES(s) && taken[AT(i, s)] < arrived[s])

#define ANY(can) (can(0) || can(1))
#define CHOOSE(can) if :: can(0) -> s = 0 :: can(1) -> s = 1 fi

#ifdef NO_DURABLE
#define SAYS_DURABLE false
#else
#define SAYS_DURABLE true
#endif
#define IS_DONE(s) (OVER(s) && !DURABLE_DUE(s) && (reset[AT(i, s)] || i == A || s == 1 || durable || !SAYS_DURABLE))

/* What is said to nobody is lost. */
inline put(w_type, w_s, w_a, w_b) {
    if
    :: on[OTHER(i)] || joined[OTHER(i)] -> line[OTHER(i)]!w_type,w_s,w_a,w_b
    :: else
    fi
}

/* Whether it was heard shows the PONG to a later PING. */
inline await_hearing(h_s) {
#ifdef BREAK_RESET_ONCE
    unheard[h_s] = false
#else
    unheard[h_s] = true;
    ping_due = true
#endif
}

/* --- another connection ---------------------------------------------------------------------- */

inline stream_name(n_s, n_p) {
#ifndef BREAK_FIN_ONCE
    fin_sent[n_s] = fin_received[n_s];
#endif
    sent[n_s] = begin[n_s];
    if
    :: NAMED(n_s) ->
        if
        :: WIDENS(n_s) -> allowed[n_s] = taken[AT(i, n_s)] + WINDOW
        :: else
        fi;
        said[n_s] = EXPECTED(n_s);
        reset_due = reset_due && n_s == 0;
        durable_due = durable_due && n_s == 1;
        n_p = POSITION(n_s);
        if
        :: P_RESET(n_p) || P_DURABLE(n_p) -> await_hearing(n_s)
        :: else
        fi
    :: else -> n_p = 0
    fi
}

inline connection_begin() {
    joined[i] = false;
    on[i] = true;
    heard = false;
    ping_due = false;
    ping_out = false;
    pong_due = false;
#ifndef BREAK_CLOSE_ONCE
    close_sent = false;
#endif
    close_received = false;
    end_sent = false;
    end_received = false;
    stream_name(0, a);
    stream_name(1, b);
    put(RESUME, known[OTHER(i)], a, b);
    a = 0;
    b = 0
}

/* --- what comes ------------------------------------------------------------------------------ */

inline reset_take(r_s) {
    if
    :: reset[AT(i, r_s)] -> unheard[r_s] = false; reset_due = false
    :: !reset[AT(i, r_s)] && COMPLETE(r_s) /* what both have confirmed stays confirmed */
    :: else -> reset[AT(i, r_s)] = true; unheard[r_s] = false
    fi
}

/* One more than all is the end, and says that the program has read what was before it. */
inline received_take(k_s, k_offset, k_most) {
    if
    :: k_offset == SIZE(i, k_s) + 1 ->
        assert(taken[AT(OTHER(i), k_s)] == SIZE(i, k_s));
        fin_received[k_s] = true;
        k_offset = SIZE(i, k_s)
    :: else -> assert(!fin_received[k_s])
    fi;
    assert(k_offset >= begin[k_s] && k_offset <= k_most);
    begin[k_s] = k_offset
}

inline position_take(q_s, q_p) {
    if
    :: !known[q_s] || FORGOTTEN(q_s) || q_p == 0 /* over, or its OPEN comes again */
    :: else ->
        assert(!open_due[q_s]);
        if
        :: P_RESET(q_p) -> reset_take(q_s)
        :: !P_RESET(q_p) && !reset[AT(i, q_s)] ->
            offset = P_EXPECTED(q_p);
            received_take(q_s, offset, SIZE(i, q_s));
            sent[q_s] = offset;
            offset = 0;
#ifndef BREAK_FIN_ONCE
            fin_sent[q_s] = P_ENDED(q_p);
#endif
            assert(P_LIMIT(q_p) >= limit[q_s]);
#ifndef BREAK_WINDOW_ONCE
            limit[q_s] = P_LIMIT(q_p);
#endif
            told_durable = told_durable || P_DURABLE(q_p)
        :: else /* we have given it up, and say so */
        fi
    fi
}

/* What the partner does not name is over there: it has all of ours, and we had all of it. Or it never heard of it. */
inline unnamed_take(u_s, u_p) {
    if
    :: !known[u_s] || FORGOTTEN(u_s) || u_p != 0
    :: else ->
        if
        :: i == u_s && !s ->
            assert(begin[u_s] == 0 && !fin_received[u_s]);
#ifndef BREAK_OPEN_ONCE
            open_due[u_s] = true
#endif
        :: !(i == u_s && !s) && reset[AT(i, u_s)] -> unheard[u_s] = false; reset_due = false
        :: !(i == u_s && !s) && !OVER(u_s) ->
            assert(!open_due[u_s] && ended[u_s] && taken[AT(i, u_s)] == FINAL(i, u_s));
            assert(taken[AT(OTHER(i), u_s)] == SIZE(i, u_s));
            said[u_s] = FINAL(i, u_s) + 1;
            begin[u_s] = SIZE(i, u_s);
            sent[u_s] = SIZE(i, u_s);
            fin_sent[u_s] = true;
            fin_received[u_s] = true
        :: else
        fi
    fi
}

/* Done, for this end: so all has arrived and was read, both ways, but of what was given up. */
inline well_look() {
    if
    :: close_sent && close_received ->
        well[i] = true;
        assert(taken[AT(i, 0)] == FINAL(i, 0) && taken[AT(OTHER(i), 0)] == SIZE(i, 0));
        assert(reset[AT(i, 1)] ||
               (taken[AT(i, 1)] == FINAL(i, 1) && taken[AT(OTHER(i), 1)] == SIZE(i, 1)));
        assert(i == B || told_durable || !SAYS_DURABLE)
    :: else
    fi
}

inline take() {
    assert(!close_received || type == END);
    assert(heard || type == RESUME);
    if
    :: type == OPEN -> assert(!known[s]); known[s] = true
    :: type == DATA && !OVER(s) ->
        assert(known[s] && a == arrived[s] && !ended[s]); /* no loss, no duplicate, in order */
        assert(a < allowed[s]);
        arrived[s]++
    :: type == FIN && !OVER(s) ->
        assert(known[s] && a == arrived[s] && !ended[s]);
        ended[s] = true
    :: type == ACK ->
        told_durable = told_durable || (b >= 16);
        if
        :: !OVER(s) ->
            assert(known[s] && !open_due[s]);
            received_take(s, a, sent[s]);
            assert(b % 16 >= limit[s]);
            limit[s] = b % 16
        :: else
        fi
    :: type == RESET -> reset_take(s)
    :: type == PING -> pong_due = true
    :: type == PONG ->
        assert(ping_out);
        ping_out = false;
        unheard[0] = unheard[0] && ping_due;
        unheard[1] = unheard[1] && (ping_due || reset_due)
    :: type == RESUME ->
        assert(!heard);
        heard = true;
        position_take(0, a);
        position_take(1, b);
        unnamed_take(0, a);
        unnamed_take(1, b)
    :: type == CLOSE ->
        assert(OVER(OTHER(i))); /* what the partner has opened */
        close_received = true;
        well_look()
    :: type == END -> assert(close_received); end_received = true
    :: else /* late: of a stream that is over */
    fi
}

/* --- an end ---------------------------------------------------------------------------------- */

/* What has not been read of it is lost. */
inline connection_lose() {
#ifndef BREAK_LATE_FRAMES
    do
    :: len(line[i]) > 0 -> line[i]?_,_,_,_
    :: else -> break
    od;
#endif
    on[i] = false;
    joined[i] = false
}

proctype Peer(bit i) {
    /* of each stream, what this end sends: */
    bool open_due[2], fin_sent[2], fin_received[2];
    byte begin[2]; /* below it all was received by the partner, and is not kept */
    byte sent[2];  /* below it all was sent on this connection */
    byte limit[2] = WINDOW;
    bool told_durable;
    /* and what comes: */
    bool known[2], ended[2];
    byte arrived[2];
    byte said[2];  /* in the last RECEIVED */
    byte allowed[2] = WINDOW;
    bool durable, durable_due;
    bool reset_due, unheard[2];
    /* of this connection: */
    bool heard = true, ping_due, ping_out, pong_due, close_sent, close_received, end_sent, end_received;
    /* what is in hand: */
    mtype type;
    bit s;
    short a, b;
    byte offset;

    d_step { open_due[i] = true; known[i] = true };
    do
    :: atomic { on[i] && nempty(line[i]) -> d_step { line[i]?type,s,a,b; take(); type = 0; s = 0; a = 0; b = 0 } }
    :: atomic { joined[i] -> d_step { connection_begin() } }

    :: atomic { TALKS && ANY(CAN_OPEN) -> CHOOSE(CAN_OPEN); d_step {
            put(OPEN, s, 0, 0);
            open_due[s] = false;
            s = 0
        } }
    :: atomic { TALKS && ANY(CAN_DATA) -> CHOOSE(CAN_DATA); d_step {
            assert(sent[s] >= begin[s]); /* it is still kept */
            put(DATA, s, sent[s], 0);
            sent[s]++;
#ifdef BREAK_NOT_KEPT
            begin[s] = sent[s];
#endif
            s = 0
        } }
    :: atomic { TALKS && ANY(CAN_FIN) -> CHOOSE(CAN_FIN); d_step {
            put(FIN, s, SIZE(i, s), 0);
            fin_sent[s] = true;
            s = 0
        } }
    :: atomic { TALKS && ANY(CAN_ACK) -> CHOOSE(CAN_ACK); d_step {
            if
            :: WIDENS(s) -> allowed[s] = taken[AT(i, s)] + WINDOW
            :: else
            fi;
            said[s] = EXPECTED(s);
            put(ACK, s, said[s], allowed[s] + 16 * DURABLE_DUE(s));
            if
            :: DURABLE_DUE(s) ->
                durable_due = false;
#ifndef BREAK_DURABLE_ONCE
                await_hearing(s)
#endif
            :: else
            fi;
            s = 0
        } }
    :: atomic { TALKS && reset_due -> d_step {
            reset_due = false;
            put(RESET, 1, 0, 0);
            await_hearing(1)
        } }
    :: atomic { TALKS && ping_due && !ping_out && !reset_due -> d_step {
            ping_due = false;
            ping_out = true;
            put(PING, 0, 0, 0)
        } }
    :: atomic { TALKS && pong_due -> d_step { pong_due = false; put(PONG, 0, 0, 0) } }

    /* the program */
    :: atomic { !gone[i] && ANY(CAN_TAKE) -> CHOOSE(CAN_TAKE); d_step { taken[AT(i, s)]++; s = 0 } }
#ifndef NO_DURABLE
    :: atomic { i == B && !gone[i] && !durable && taken[AT(i, 0)] == FINAL(i, 0) -> d_step {
            durable = true;
            durable_due = true
        } }
#endif
#ifndef NO_RESET
    :: atomic { i == A && !gone[i] && known[1] && !OVER(1) -> d_step {
            reset[AT(i, 1)] = true;
            reset_due = true;
            unheard[1] = true
        } }
#endif

    /* the end */
    :: atomic { TALKS && IS_DONE(0) && IS_DONE(1) && !reset_due -> d_step {
            put(CLOSE, 0, 0, 0);
            close_sent = true;
            well_look()
        } }
    :: atomic { on[i] && close_sent && close_received && !end_sent && ROOM -> d_step {
            put(END, 0, 0, 0);
            end_sent = true
        } }
#ifdef BREAK_UNCONFIRMED
    :: atomic { on[i] && end_sent -> d_step { connection_lose(); gone[i] = true } }
#else
    :: atomic { on[i] && end_sent && end_received -> d_step { connection_lose(); gone[i] = true } }
#endif

    /* the connection is lost, and here it is noticed */
    :: atomic { on[i] && (!calm || !(on[OTHER(i)] || joined[OTHER(i)])) -> d_step { connection_lose() } }
    /* nobody is there any more */
    :: atomic { !on[i] && !joined[i] && !gone[i] && gone[OTHER(i)] -> d_step {
            assert(well[i] || hard);
            gone[i] = true
        } }
#ifdef HARD
    :: atomic { !gone[i] && !calm -> d_step { connection_lose(); hard = true; gone[i] = true } }
#endif
    :: gone[i] -> break
    od
}

#define NOBODY (!on[A] && !on[B] && !joined[A] && !joined[B])

active proctype Net() {
    on[A] = true;
    on[B] = true;
    atomic { run Peer(A); run Peer(B) };
    do
    :: atomic { NOBODY && !gone[A] && !gone[B] -> d_step { joined[A] = true; joined[B] = true } }
#ifndef ALWAYS
    :: atomic { !calm -> calm = true }
#endif
    :: gone[A] && gone[B] -> break
    od
}

ltl ends { (<> calm) -> (<> (gone[A] && gone[B])) }
