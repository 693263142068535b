// app.cpp: a C++ program of somebody else's, built against an installed libx402.
#include <cstdio>
#include <x402.hpp>

int main()
{
    if (!x402::abi_fits())
        return std::fprintf(stderr, "header %s, library %s\n", X402_VERSION, x402::version()), 1;
    try {
        x402::Client{x402::Config{}}.get("no url");
    } catch (const x402::Error &error) {
        std::printf("libx402 %s says: %s\n", x402::version(), error.what());
        return error.status() == X402_ERROR_URL ? 0 : 1;
    }
    return std::fprintf(stderr, "it took \"no url\" for a URL\n"), 1;
}
