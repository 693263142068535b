// alone.cpp: the header first and alone, in a second file of the program, under every warning: it needs nothing before it
// and defines nothing twice.
#include <x402.hpp>
#include <x402.hpp>

namespace x402_tests {
const char *version() { return x402::version(); }
}
