/* baseline_paid URL CALLS [KIND]: paid GETs with raw sockets and one signature each. Without KIND, by EIP-3009 and with the
 * offer read once; with one (eip3009, permit2, solana), with all that a client must read besides. */
#include "eip3009.h"
#include "permit2.h"
#include "solana.h"

static struct raw raw;
static struct payer payer;

static const struct kind *kind_of(const char *name)
{
    const struct kind *kinds[] = { &by_eip3009, &by_permit2, &on_solana };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
    die("%s is none of eip3009, permit2 and solana", name);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) die("usage: baseline_paid URL CALLS [KIND]");
    uint64_t calls = number(argv[2]), bytes = 0;
    payer.kind = argc == 4 ? kind_of(argv[3]) : &by_eip3009;
    payer.reads_all = argc == 4;
    payer.kind->make_ready();
    raw_connect(&raw, argv[1]);
    for (int i = 0; i < WARMUP_CALLS; i++) paid_get(&raw, &payer);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += paid_get(&raw, &payer);
    measure_end(begun, calls, bytes);
    return 0;
}
