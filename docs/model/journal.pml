/* journal.pml - a file that goes on from what is on the disk. PROTOCOL.md 7.4, and what a receiver keeps
 *
 * A sender and a receiver with the two streams of a transfer, each of which holds two messages each way, and a file of
 * BLOCKS blocks. Either process can be killed at any time and any number of times, until it is calm; the receiver's
 * machine can lose its power, too, and with it what was not synced. Then both call again. That lines are lost within a
 * call is no matter here: resume.pml shows that its streams keep what they promise. The source can change once, at any
 * time, also so that its size and time stay as they were.
 *
 * Built with one of BREAK_... it is wrong in one way, which must be found. tests/model.py builds all. */

#ifndef BLOCKS
#define BLOCKS 4
#endif

#define SENDER 0
#define RECEIVER 1

#define NONE 0
#define MIXED 9 /* the sum of blocks of more than one version, or of what a loss of power has left */

mtype = { ENTRY, ACCEPT, BEGIN, BLOCK, DONE, CHANGED, STORED, DIFFERS, GIVEN_UP, SAME, TAKEN };
mtype = { CALLS, OFFERS, SENDS, LISTENS, BEGINS, WRITES, SYNCS, RENAMES, FORGETS, TELLS, WAITS };

chan to_receiver = [2] of { mtype, byte };     /* the control stream: ENTRY identity */
chan to_sender = [2] of { mtype, byte, byte }; /* and back: ACCEPT size sum; RESULT, as its outcome */
chan blocks = [2] of { mtype, byte, byte };    /* the data stream: BEGIN offset; BLOCK number version; DONE sum; CHANGED */

/* The sender's disk: the version of the file, and whether its size or time show the change. */
byte version = 1;
bool is_seen;
#define IDENTITY (is_seen -> version : 1)

/* The receiver's: the blocks of the part, the first `synced` of which survive a loss of power. */
byte part[BLOCKS];
byte size, synced;
bool has_journal;
byte noted, noted_identity;
byte stored;          /* the version under the file's name, or NONE */
byte stored_identity; /* of that, as the trail has it */

/* The processes, which lose this when they are killed. */
mtype sender = CALLS, receiver = CALLS;
byte offered, next;   /* the sender's: the version that was offered, and the next block */
byte identity;        /* the receiver's: of what is offered */
mtype outcome = WAITS;

bool calm, over;

#define IN_CALL(process) ((process) != CALLS)

/* The sum of the first blocks of the part, as their version. */
inline part_sum(count, sum) {
    sum = (count > 0 -> part[0] : NONE);
    k = 0;
    do
    :: k < count -> sum = (part[k] == sum -> sum : MIXED); k++
    :: else -> break
    od;
    k = 0
}

inline part_cut(count) {
    k = count;
    do
    :: k < BLOCKS -> part[k] = NONE; k++
    :: else -> break
    od;
    k = 0;
    size = count;
    synced = (synced > count -> count : synced)
}

/* What is given up is not gone on with. */
inline journal_forget() {
    has_journal = false;
    noted = 0;
    noted_identity = NONE
}

inline sender_forget() {
    sender = CALLS;
    offered = NONE;
    next = 0
}

inline receiver_forget() {
    receiver = CALLS;
    identity = NONE;
    outcome = WAITS
}

active proctype Sender() {
    mtype type;
    byte count, sum;

    do
    :: atomic { sender == OFFERS && nfull(to_receiver) ->
        offered = version;
        to_receiver!ENTRY,IDENTITY;
        sender = WAITS }

    /* it begins behind what the receiver has, if that is the same here */
    :: atomic { sender == WAITS && to_sender?[ACCEPT,_,_] && nfull(blocks) -> d_step {
            to_sender?type,count,sum;
#ifdef BREAK_SUMS
            next = count;
#else
            next = (sum == version -> count : 0);
#endif
            blocks!BEGIN,next,0;
            sender = SENDS;
            type = 0; count = 0; sum = 0
        } }
    :: atomic { sender == SENDS && next < BLOCKS && nfull(blocks) ->
        blocks!BLOCK,next,version;
        next++ }
    :: atomic { sender == SENDS && next == BLOCKS && nfull(blocks) ->
        if
        :: version == offered -> blocks!DONE,0,version
#ifdef BREAK_SUMS
        :: version != offered -> blocks!DONE,0,version
#else
        :: version != offered -> blocks!CHANGED,0,0
#endif
        fi;
        sender = TELLS }

    :: atomic { IN_CALL(sender) && nempty(to_sender) && !to_sender?[ACCEPT,_,_] -> d_step {
            to_sender?type,count,sum;
            assert(type != STORED || (stored == offered && sender == TELLS));
            assert(type != SAME || stored == offered || !is_seen);
            assert(type != TAKEN || stored != offered);
            over = (type == STORED || type == SAME || type == TAKEN);
            sender_forget();
            type = 0; count = 0; sum = 0
        } }

    /* the receiver is gone, or it was killed itself */
    :: atomic { IN_CALL(sender) && !IN_CALL(receiver) && empty(to_sender) -> d_step { sender_forget() } }
    :: atomic { IN_CALL(sender) && !calm -> d_step { sender_forget() } }
    :: over -> break
    od
}

active proctype Receiver() {
    mtype type;
    byte count, sum, at, k;

    do
    :: atomic { receiver == LISTENS && nempty(to_receiver) && nfull(to_sender) -> d_step {
            to_receiver?type,identity;
            if
            :: stored != NONE ->
                outcome = (stored_identity == identity -> SAME : TAKEN);
                receiver = TELLS
            :: stored == NONE && has_journal && noted_identity == identity ->
                assert(noted <= size && noted <= synced);
                part_cut(noted);
                part_sum(noted, sum);
                to_sender!ACCEPT,noted,sum;
                receiver = BEGINS
            :: else ->
                journal_forget();
                part_cut(0);
                to_sender!ACCEPT,0,NONE;
                receiver = BEGINS
            fi;
            type = 0; sum = 0
        } }
    :: atomic { receiver == BEGINS && nempty(blocks) ->
        blocks?type,count,_;
        assert(type == BEGIN && (count == 0 || count == noted));
        receiver = WRITES;
        if
        :: count < size ->
#ifndef BREAK_JOURNAL_KEPT
            journal_forget();
#endif
            type = 0
        :: else
        fi }
    :: atomic { receiver == WRITES && count < size -> d_step { part_cut(count); count = 0 } }
    :: atomic { receiver == WRITES && count == size && blocks?[BLOCK,_,_] -> d_step {
            count = 0;
            blocks?type,at,sum;
            assert(at == size);
            part[at] = sum;
            size++;
            count = size;
            type = 0; at = 0; sum = 0
        } }
    :: atomic { receiver == WRITES && count == size && nempty(blocks) && !blocks?[BLOCK,_,_] -> d_step {
            blocks?type,_,sum;
            part_sum(size, at);
#ifdef BREAK_SUMS
            receiver = SYNCS;
#else
            if
            :: type == DONE && size == BLOCKS && at == sum -> receiver = SYNCS
            :: else ->
                outcome = (type == CHANGED -> GIVEN_UP : DIFFERS);
                journal_forget();
                part_cut(0);
                receiver = TELLS
            fi;
#endif
            count = 0; type = 0; at = 0; sum = 0
        } }

    /* now and then what is written is synced, and then noted */
    :: atomic { receiver == WRITES && count == size && synced < size -> synced = size }
#ifdef BREAK_JOURNAL_AHEAD
    :: atomic { receiver == WRITES && count == size && noted < size -> d_step {
            noted = size;
#else
    :: atomic { receiver == WRITES && count == size && noted < synced -> d_step {
            noted = synced;
#endif
            has_journal = true;
            noted_identity = identity
        } }

    /* it gets its name when it is on the disk, then its journal goes, then the sender is told */
#ifdef BREAK_RESULT_EARLY
    :: atomic { receiver == SYNCS && nfull(to_sender) -> to_sender!STORED,0,0; synced = size; receiver = RENAMES }
#else
#ifdef BREAK_RENAME_EARLY
    :: atomic { receiver == SYNCS -> receiver = RENAMES }
#else
    :: atomic { receiver == SYNCS -> synced = size; receiver = RENAMES }
#endif
#endif
    :: atomic { receiver == RENAMES -> d_step {
            part_sum(BLOCKS, sum);
            assert(size == BLOCKS && synced == BLOCKS && sum != MIXED);
            stored = sum;
            stored_identity = identity;
            part_cut(0);
            sum = 0;
            receiver = FORGETS
        } }
    :: atomic { receiver == FORGETS -> d_step { journal_forget(); outcome = STORED; receiver = TELLS } }
    :: atomic { receiver == TELLS && nfull(to_sender) -> d_step {
            to_sender!outcome,0,0;
            receiver_forget()
        } }

    /* the sender is gone, or it was killed itself, or all of its machine */
    :: atomic { IN_CALL(receiver) && !IN_CALL(sender) && empty(to_receiver) && empty(blocks) -> d_step {
            receiver_forget();
            count = 0
        } }
    :: atomic { IN_CALL(receiver) && !calm -> d_step { receiver_forget(); count = 0 } }
    :: atomic { IN_CALL(receiver) && !calm -> d_step {
            receiver_forget();
            part_cut(synced);
            count = 0
        } }
    :: over -> break
    od
}

/* Who calls again meets the other when it does so too. */
active proctype Users() {
    do
    :: atomic { sender == CALLS && receiver == CALLS && !over -> d_step {
            do
            :: len(to_receiver) > 0 -> to_receiver?_,_
            :: len(to_sender) > 0 -> to_sender?_,_,_
            :: len(blocks) > 0 -> blocks?_,_,_
            :: else -> break
            od;
            sender = OFFERS;
            receiver = LISTENS
        } }
    :: atomic { version == 1 -> version = 2; is_seen = true }
    :: atomic { version == 1 -> version = 2 }
    :: atomic { !calm -> calm = true }
    :: over -> break
    od
}

ltl ends { (<> calm) -> (<> over) }
