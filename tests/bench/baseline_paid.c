/* baseline_paid URL CALLS [parts]: paid GETs with raw sockets and one libsecp256k1 signature each; with `parts`, with all
 * that a client must read besides. */
#include "eip3009.h"

static struct raw raw;
static struct payer payer;

int main(int argc, char **argv)
{
    if (argc != 3 && (argc != 4 || strcmp(argv[3], "parts") != 0)) die("usage: baseline_paid URL CALLS [parts]");
    uint64_t calls = number(argv[2]), bytes = 0;
    payer_new(&payer, TEST_KEY);
    payer.reads_all = argc == 4;
    raw_connect(&raw, argv[1]);
    for (int i = 0; i < WARMUP_CALLS; i++) paid_get(&raw, &payer);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += paid_get(&raw, &payer);
    measure_end(begun, calls, bytes);
    return 0;
}
