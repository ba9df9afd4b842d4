/* The two rings of a channel with parking and doorbells, and both loops that sleep on them, as a model that SPIN
 * searches completely. Not the code itself: it follows common/wire/ring.hpp, UnitLoop::run and sleep (worker), and
 * WorkerProcess::hand_out, drain_completions and gone (coordinator) access by access, and has to be changed with them.
 * scripts/model-check runs it.
 *
 * One statement is one step that others can come between, and each access to shared memory is a separate statement.
 * A doorbell is a flag that stays up until it is read: an eventfd, and poll() looks at its level (Asio arms its edge
 * again before each wait, which is equivalent).
 *
 * Searched for: a ring that overflows; a task or an answer that is lost, doubled or out of order; a loop that sleeps
 * while the ring holds a record and the bell is silent (SPIN's "invalid end state"); a drain that takes longer than
 * its bound; an end that does not come (the formula at the end). Optionally the worker is killed between any two
 * steps and replaced, or the coordinator is.
 *
 * Left out: memory orders weaker than sequential consistency. The four accesses of the handshake are seq_cst, so
 * interleaving is the right semantics for them; that release and acquire suffice for records and head is what
 * ThreadSanitizer looks at (tests/worker/both_ends_test.cpp). Also left out: the wrap of the 64-bit indices, a peer
 * that lies (tests/fuzz/ring.cpp), a push into a full ring by a producer that does not count what is in flight
 * (tests/common/ring_test.cpp), a worker that ends by itself without a reason.
 *
 * BROKEN_... are mistakes of which each must be found; without that a search that finds nothing says nothing. */

#ifndef CAPACITY
#define CAPACITY 2 /* output slots, hence tasks in flight, hence records in either ring */
#endif
#ifndef TASKS
#define TASKS 4
#endif

mtype = {ok, would_block, is_closed};

typedef Ring {
  byte tail;
  bit closed;
  byte head;
  bit parked;
  byte record[CAPACITY]
};
Ring tasks, completions;
bit task_bell, completion_bell;
bit stop_sent;        /* the control socket can be read: a message, or its end */
bit worker_killed;    /* SIGKILL is on its way: no further step of it */
bit worker_exited;    /* its pidfd can be read */
bit coordinator_killed;
bit coordinator_done;

/* ---- common/wire/ring.hpp; own_tail and own_head are the ends' private indices ---------------------------------------- */

inline push(ring, own_tail, value, status) {
  seen = ring.head;
  assert(own_tail - seen <= CAPACITY);
  if
  :: own_tail - seen == CAPACITY -> status = would_block
  :: else ->
#ifdef BROKEN_PUBLISHED_BEFORE_WRITTEN
    own_tail++;
    ring.tail = own_tail;
    ring.record[(own_tail - 1) % CAPACITY] = value;
#else
    ring.record[own_tail % CAPACITY] = value;
    own_tail++;
    ring.tail = own_tail;
#endif
    status = ok
  fi
}

inline ring_bell_if_parked(ring, bell) {
  if
  :: ring.parked -> bell = 1
  :: else
  fi
}

/* A push and its bell, as both producers do it. There is always a place: at most CAPACITY are in flight. */
inline push_and_ring(ring, bell, own_tail, value, status) {
#ifdef BROKEN_BELL_BEFORE_PUSH
  ring_bell_if_parked(ring, bell);
  push(ring, own_tail, value, status);
#else
  push(ring, own_tail, value, status);
  ring_bell_if_parked(ring, bell);
#endif
  assert(status == ok)
}

inline pop(ring, own_head, value, status) {
#ifdef BROKEN_CLOSED_READ_AFTER_TAIL
  seen = ring.tail;
  was_closed = ring.closed;
#else
  was_closed = ring.closed;
  seen = ring.tail;
#endif
  assert(seen - own_head <= CAPACITY);
  if
  :: seen == own_head && was_closed -> status = is_closed
  :: seen == own_head && !was_closed -> status = would_block
  :: else ->
    value = ring.record[own_head % CAPACITY];
    own_head++;
    ring.head = own_head;
    status = ok
  fi
}

/* ---- UnitLoop --------------------------------------------------------------------------------------------------- */

inline perform() {
  push_and_ring(completions, completion_bell, tail, task, status)
}

inline sleep() {
#ifdef BROKEN_WORKER_LOOKS_BEFORE_PARKING
  pop(tasks, head, task, status);
  tasks.parked = 1;
#else
  tasks.parked = 1;
#ifdef BROKEN_WORKER_LOOKS_ONCE
  status = would_block;
#else
  pop(tasks, head, task, status);
#endif
#endif
  if
  :: status == ok ->
    tasks.parked = 0;
    perform()
  :: status == is_closed -> tasks.parked = 0
  :: status == would_block ->
#ifdef BROKEN_WORKER_SILENCES_BEFORE_SLEEP
    task_bell = 0;
#endif
    (task_bell || stop_sent); /* poll */
    woken_to_leave = stop_sent; /* its answer, which holds for both descriptors at once */
    tasks.parked = 0;
    task_bell = 0;
    if
    :: woken_to_leave -> goto out
    :: else
    fi
  fi
}

proctype Worker() {
  byte head, tail, task, seen;
  bit was_closed, woken_to_leave;
  mtype status;
  {
    do
    :: pop(tasks, head, task, status);
      if
      :: status == ok -> perform()
      :: status == is_closed -> break
      :: status == would_block -> sleep()
      fi
    od;
  out:
    skip
  } unless { worker_killed }
  worker_exited = 1
}

/* ---- the coordinator's loop --------------------------------------------------------------------------------------- */

inline hand_out() {
  push_and_ring(tasks, task_bell, tail, handed_out, status);
  handed_out++
}

/* The ledger: each task is answered once, and a worker answers in order. */
inline accept() {
  assert(answered < handed_out && answer == answered);
  answered++
}

inline drain_completions() {
  completions.parked = 0;
  parked = 0;
  left = 2 * CAPACITY + 1;
  do
  :: left == 0 -> assert(false) /* an honest worker is called a liar */
  :: else ->
    left--;
    pop(completions, head, answer, status);
    if
    :: status == ok ->
      accept();
#ifdef BROKEN_HANDS_OUT_WHILE_DRAINING
      if
      :: handed_out < TASKS && !closing -> hand_out()
      :: else
      fi
#endif
    :: status == would_block && parked -> break
    :: status == would_block && !parked ->
#ifdef BROKEN_COORDINATOR_LOOKS_BEFORE_PARKING
      pop(completions, head, answer, status);
      if
      :: status == ok -> accept()
      :: else
      fi;
      completions.parked = 1;
      break
#else
      completions.parked = 1;
      parked = 1;
#ifdef BROKEN_COORDINATOR_LOOKS_ONCE
      break
#endif
#endif
    fi
  od
}

/* The worker is gone: what it published is taken, the channel is dropped, its replacement gets a new one and every
 * task that was not answered, again. */
inline gone() {
  drain_completions();
  assert(head == completions.tail);
  if
  :: answered == TASKS -> break
  :: else ->
    assert(worker_killed); /* or it left with work waiting */
    d_step {
#ifndef BROKEN_CHANNEL_USED_AGAIN
      tasks.tail = 0; tasks.head = 0; tasks.parked = 0; tasks.closed = 0;
      completions.tail = 0; completions.head = 0; completions.parked = 0;
#endif
      task_bell = 0; completion_bell = 0; stop_sent = 0;
      tail = 0; head = 0; told = 0;
      handed_out = answered;
      worker_killed = 0; worker_exited = 0
    }
    run Worker();
    drain_completions() /* parks this end */
  fi
}

proctype Coordinator(bit closing) {
  byte tail, head, answer, seen, left, handed_out, answered;
  bit parked, was_closed, told;
  mtype status;
  {
    drain_completions();
    do
    :: handed_out < TASKS && handed_out - answered < CAPACITY && !told -> hand_out()
    :: completion_bell ->
#ifdef BROKEN_COORDINATOR_SILENCES_AFTER_DRAINING
      drain_completions();
      completion_bell = 0
#else
      completion_bell = 0;
      drain_completions()
#endif
    /* The end: by closing the ring behind the last task, or by a message once all is answered. */
    :: closing && !told && handed_out == TASKS ->
      told = 1;
      tasks.closed = 1;
      ring_bell_if_parked(tasks, task_bell)
    :: !closing && !told && answered == TASKS ->
      told = 1;
      stop_sent = 1
    :: worker_exited -> gone()
    od
  } unless { coordinator_killed }
  stop_sent = 1; /* its socket is closed with it */
  coordinator_done = 1
}

#ifdef KILLS
proctype Killer() {
  if
  :: true /* or nothing is killed: a state that only a kill would end is a dead end here */
  :: worker_killed = 1
  :: coordinator_killed = 1
  fi
}
#endif

init {
  bit closing;
  if
  :: closing = 0
  :: closing = 1
  fi;
  atomic {
    run Coordinator(closing);
    run Worker();
#ifdef KILLS
    run Killer()
#endif
  }
}

/* Both sides always reach their end; searched under weak fairness. */
ltl ends { <> (coordinator_done && worker_exited) }
