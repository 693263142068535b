/* bare_start URL: one paid GET from process start, with raw sockets; says `paid` when the answer is there. */
#include "eip3009.h"

static struct raw raw;
static struct payer payer = { .kind = &by_eip3009 };

int main(int argc, char **argv)
{
    if (argc != 2) die("usage: bare_start URL");
    payer.kind->make_ready();
    raw_connect(&raw, argv[1]);
    paid_get(&raw, &payer);
    return write(1, "paid\n", 5) == 5 ? 0 : 1;
}
