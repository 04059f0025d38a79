/* Inside of the supervisor: its state, and what its files share.
 *
 *   supervisor.c   signals, start and end
 *   children.c     the workers and the controller: started, reaped, started again
 *   listening.c    the listening sockets: opened, inherited, added and taken away by a reload
 *   upgrade.c      the old side of an upgrade: starts the new one, hands over, stays or steps back
 *   succeed.c      the new side
 *   asker.c        who asks for an upgrade, and the answer */
#pragma once
#include <limits.h>

#include "act/control/handover.h"
#include "act/control/notebook.h"
#include "act/control/shop.h"
#include "act/control/state.h"
#include "act/control/supervisor.h"
#include "act/guard/guard.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "wire/net/loop.h"

#define LISTENERS_MAX HANDOVER_LISTENERS_MAX
#define UPGRADE_PATIENCE_US 30000000  /* until the new one serves */
#define UPGRADE_PROBATION_US 10000000 /* for so long the old one takes back what a crash leaves */
#define ASKERS_MAX 4
#define COMMAND_MAX 80

/* running -> draining (workers finish) -> stopping (the controller stops the fleet) -> ended
 * running -> front (a newer Tidegate serves; older workers finish) -> ended */
enum phase { PHASE_RUNNING, PHASE_DRAINING, PHASE_STOPPING, PHASE_FRONT, PHASE_FRONT_ENDING };

struct supervisor;

struct child {
    struct supervisor *supervisor;
    const char *name;
    int worker; /* index, or -1: the controller */
    pid_t pid;  /* 0: not running */
    int pidfd;
    int control_fd; /* our end of a worker's orders; -1: none */
    struct watch exited;
    struct timer restart;
    uint64_t started_us;
    unsigned quick_deaths; /* in a row */
};

/* none -> starting (until PREPARED) -> switching (our controller ends) -> going (until READY)
 *      -> done; any of them -> none: given up */
enum upgrade_phase {
    UPGRADE_NONE,
    UPGRADE_STARTING,
    UPGRADE_SWITCHING,
    UPGRADE_GOING,
    UPGRADE_DONE,
};

struct upgrade {
    enum upgrade_phase phase;
    pid_t pid; /* of the new supervisor; 0: none */
    int pidfd, link_fd, asker_fd;
    struct watch exited, link;
    struct timer patience, probation;
    bool trusted;        /* probation is over */
    bool reload_pending; /* HUP came meanwhile */
    int status;          /* of its end, as waitpid says it */
};

/* waiting (for GO) -> starting (controller and workers) -> serving (until COMMIT) -> done */
enum succession_phase {
    SUCCESSION_NONE,
    SUCCESSION_WAITING,
    SUCCESSION_STARTING,
    SUCCESSION_SERVING,
    SUCCESSION_DONE
};

struct succession {
    enum succession_phase phase;
    int link_fd;
    struct watch link;
    struct timer look;
    struct handover_offer offer;
    bool has_plan; /* the old one's plan is in our segment */
    bool workers_started;
    uint64_t since_us;
};

struct asker {
    struct watch watch;
    struct supervisor *supervisor;
};

struct supervisor {
    struct loop *loop;
    struct shop *shop;
    const char *config_path;
    char *command[COMMAND_MAX + 1]; /* of a successor; ended by NULL */
    char binary[PATH_MAX];          /* by which we were started: what is there now is the new one */
    struct state_folder state;
    struct guard_user user; /* of workers */
    struct plan_segment *plans;
    struct vitals *vitals;
    struct notebook *notebook;
    int plan_fd, vitals_fd, signal_fd;
    int listen_fds[LISTENERS_MAX]; /* by slot; -1: free */
    struct address listen[LISTENERS_MAX];
    bool listen_guarded[LISTENERS_MAX]; /* see worker_config */
    int wake_fds[PLAN_WORKERS_MAX];
    unsigned worker_count;
    struct child children[PLAN_WORKERS_MAX + 1]; /* workers, then the controller */
    struct watch signals;
    struct timer patience;
    enum phase phase;
    struct upgrade upgrade;
    struct succession succession;
    int front_fd; /* towards the process that a service manager knows; -1: that is us */
    int asking_fd;
    struct watch asking;
    struct asker askers[ASKERS_MAX];
};

/* supervisor.c */
static inline struct child *supervisor_controller(struct supervisor *s) {
    return &s->children[s->worker_count];
}
/* It is reaped; what follows is a matter of the phase. */
void supervisor_child_ended(struct child *c);
void supervisor_begin_end(struct supervisor *s);
void supervisor_reload(struct supervisor *s);

/* children.c */
void children_init(struct supervisor *s);
void children_start(struct child *c);
void children_start_workers(struct supervisor *s);
/* One that has ended, at once or, when it goes on dying quickly, a little later. */
void children_restart(struct child *c);
void children_signal_workers(struct supervisor *s, int signal_number);
bool children_workers_gone(const struct supervisor *s);
/* Instances of a dead controller are our children now (we are their subreaper). */
void children_reap_orphans(struct supervisor *s);

/* listening.c */
/* Opens what is configured; takes it from the offer where it is there. */
bool listening_open(struct supervisor *s, struct handover_offer *offer, struct error *err);
void listening_close(struct supervisor *s);
/* Whether the controller will get the admin address, if somebody has written it down. */
bool listening_check_admin(const struct supervisor *s, struct error *err);
/* The shop that is about to be ours: new addresses are opened, and the running workers get them.
 * False: one cannot be had, nothing has changed. */
bool listening_apply(struct supervisor *s, const struct shop *fresh, struct error *err);

/* upgrade.c */
void upgrade_init(struct supervisor *s);
/* Refused while one is under way. `asker_fd` is taken over: it gets the answer; -1: nobody waits.
 */
void upgrade_begin(struct supervisor *s, const char *binary, uint64_t patience_us, int asker_fd);
bool upgrade_is_under_way(const struct supervisor *s);
/* Gives up; for a signal that ends us. */
void upgrade_give_up(struct supervisor *s, const char *why);
void upgrade_controller_ended(struct supervisor *s);
/* A worker has ended, or who writes the access log of the older ones. */
void upgrade_front_look(struct supervisor *s);
void upgrade_front_signal(struct supervisor *s, int signal_number);
void upgrade_fill_offer(const struct supervisor *s, struct handover_offer *offer);
void upgrade_fini(struct supervisor *s);

/* succeed.c */
bool succeed_prepared(struct supervisor *s, struct error *err);
void succeed_fini(struct supervisor *s);

/* asker.c */
bool asker_open(struct supervisor *s, struct error *err);
void asker_close(struct supervisor *s);
/* One line; closes it. -1: nobody. */
void asker_answer(int fd, const char *word, const char *text);
