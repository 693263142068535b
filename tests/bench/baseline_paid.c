/* baseline_paid URL CALLS: paid GETs with raw sockets and one libsecp256k1 signature each. */
#include "eip3009.h"

static struct raw raw;
static struct payer payer;

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: baseline_paid URL CALLS");
    uint64_t calls = number(argv[2]), bytes = 0;
    payer_new(&payer, TEST_KEY);
    raw_connect(&raw, argv[1]);
    for (int i = 0; i < WARMUP_CALLS; i++) paid_get(&raw, &payer);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += paid_get(&raw, &payer);
    measure_end(begun, calls, bytes);
    return 0;
}
