// throw.cpp: a C++ exception that leaves a callback ends the process, at once and with a message, instead of unwinding
// through frames of another language. Each case runs in a child process.
#include "setup.h"

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int32_t throwing_read(void *, uint8_t *, size_t, size_t *) { throw std::runtime_error("from read"); }
int32_t throwing_approve(void *, const char *, size_t) { throw std::runtime_error("from approve"); }
int32_t throwing_chunk(void *, const uint8_t *, size_t) { throw std::runtime_error("from chunk"); }
int32_t throwing_progress(void *, uint64_t, uint64_t, uint64_t, uint64_t) { throw std::runtime_error("from progress"); }

void with_read(const server *server)
{
    x402_request *request;
    x402_response *response;
    x402_request_new("POST", server_path(server, "/free-upload"), &request, nullptr);
    x402_request_body_reader(request, throwing_read, nullptr, nullptr, 10, nullptr);
    x402_client_send(client_with(nullptr, nullptr, nullptr), request, &response, nullptr);
}

void with_progress(const server *server)
{
    x402_request *request;
    x402_response *response;
    x402_request_new("POST", server_path(server, "/free-upload"), &request, nullptr);
    x402_request_body_bytes(request, reinterpret_cast<const uint8_t *>("abc"), 3, nullptr);
    x402_request_progress(request, throwing_progress, nullptr, nullptr);
    x402_client_send(client_with(nullptr, nullptr, nullptr), request, &response, nullptr);
}

void with_chunk(const server *server)
{
    x402_response *response;
    x402_client_get(client_with(nullptr, nullptr, nullptr), server_path(server, "/free"), &response, nullptr);
    x402_response_each(response, throwing_chunk, nullptr, nullptr);
}

void with_approve(const server *server)
{
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    x402_response *response;
    x402_wallet_new(&wallet, nullptr);
    x402_wallet_add_evm_key(wallet, TEST_KEY, nullptr);
    x402_policy_new(&policy, nullptr);
    x402_policy_approve(policy, throwing_approve, nullptr, nullptr);
    x402_config_new(&config, nullptr);
    x402_config_wallet(config, wallet, nullptr);
    x402_config_policy(config, policy, nullptr);
    x402_client_new(config, &client, nullptr);
    x402_client_get(client, server_path(server, "/weather"), &response, nullptr);
}

void ends_the_process(const char *name, void (*run)(const server *), const server *server)
{
    pid_t child = fork();
    if (child == 0) {
        const rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        if (!std::freopen("/dev/null", "w", stderr))
            _exit(3);
        try {
            run(server);
        } catch (const std::exception &) {
            _exit(4); // it crossed the library
        }
        _exit(5); // it was swallowed
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: wait status %#x", name, static_cast<unsigned>(status));
}

} // namespace

int main()
{
    server server = server_start(nullptr, 0);
    ends_the_process("read", with_read, &server);
    ends_the_process("progress", with_progress, &server);
    ends_the_process("chunk", with_chunk, &server);
    ends_the_process("approve", with_approve, &server);
    server_stop(&server);
    return finish("throw");
}
