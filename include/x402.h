/* x402.h: an HTTP client that pays when a server answers 402 Payment Required. libx402 0.1.0.
 *
 *     x402_error *error = NULL;
 *     x402_response *response;
 *     if (x402_client_get(client, "https://api.example.com/report", &response, &error) != X402_OK) {
 *         fprintf(stderr, "%s\n", x402_error_message(error));
 *         x402_error_free(error);
 *     }
 *
 * Generated from src/ffi. Types and callbacks come first, then the functions, noun by noun.
 *
 * The contract, in ten lines
 *  1. Every handle is opaque. Its value is an index and a generation, never an address: a stale, freed or foreign
 *     handle is refused with X402_ERROR_HANDLE, never dereferenced. (To a language without pointers it is a 64-bit
 *     integer, exact in a double.)
 *  2. x402_<noun>_<verb>(handle, inputs..., outputs..., x402_error **error). `error` may be NULL; if not, it is set to
 *     NULL, or to an error that the caller frees. Free an earlier one before passing its variable again.
 *  3. Fallible calls return x402_status; X402_OK is 0. Outputs are written only on X402_OK, except that handle and
 *     pointer outputs are set to NULL, and lengths to 0, first. Numbers are never reused.
 *  4. Text in: NUL-terminated UTF-8, copied before return. Bytes in: pointer and length; NULL is fine when the length is 0.
 *  5. Text out: NUL-terminated UTF-8, owned by the handle it came from, valid until that is freed. Only the texts of
 *     x402_client_quote_json and x402_ledger_..._json are the caller's, to be freed with x402_string_free.
 *  6. free(NULL) is nothing, nor is freeing twice. Handles may be freed in any order; a child keeps its parent alive.
 *  7. wallet, policy, ledger, config, client, queue: any thread. request, response: one thread at a time, else
 *     X402_ERROR_BUSY. x402_request_cancel, x402_queue_cancel: any thread, any time. error, payment: any thread may read.
 *  8. Callbacks run on the thread that called in; but those of what was given to a QUEUE run on one of the QUEUE'S OWN
 *     THREADS, one at a time for a request, several at once for several. They get `void *userdata`, and return 0 to go
 *     on; any other value stops, and comes back unchanged from x402_error_callback_value. They must return: no longjmp; a
 *     C++ exception that leaves one ends the process.
 *  9. Nothing panics, exits, prints, installs a signal handler or reads the environment unasked. errno is left as it was.
 * 10. Every error and every response says what became of the money (x402_money).
 *
 * Settings, for x402_config_set; those marked * also for x402_request_set. Values are text.
 *  * connect_timeout_ms      milliseconds, 0: none; default "30000"
 *                            name lookup, connection, proxy and TLS handshake together
 *  * first_byte_timeout_ms   milliseconds, 0: none; default "600000"
 *                            from the request's last byte to the answer's first
 *  * idle_timeout_ms         milliseconds, 0: none; default "300000"
 *                            the longest time without a byte in either direction
 *  * total_timeout_ms        milliseconds, 0: none; default "0"
 *                            the whole call, payment and reading of the answer included
 *  * sign_timeout_ms         milliseconds, 0: none; default "300000"
 *                            from the terms to the signature: approve callback and signer; they are not
 *                            interrupted, and what comes later is refused
 *  * max_redirects           number, 0: hand 3xx to the caller; default "10"
 *                            redirects followed before the call fails
 *  * user_agent              text, empty: none; default "libx402/0.1.0"
 *                            the User-Agent header
 *  * expect_continue         auto, always or never; default "auto"
 *                            ask with Expect: 100-continue before a body is sent; auto: when it is large
 *                            or of unknown length and a payment is possible; never: only where a server
 *                            broke off the upload without an answer
 *  * decompress              true or false; default "false"
 *                            ask for gzip or deflate and decode the answer
 *  * replay_memory           bytes; default "8388608"
 *                            how much of a body that cannot rewind is kept in memory for its replay
 *  * replay_disk             bytes; default "1073741824"
 *                            how much more of it is kept in an unnamed temporary file; none without a
 *                            wallet, where only a redirect could ask for it again
 *  * replay_dir              path, empty: the system's; default empty
 *                            where that temporary file lies
 *  * purchase_key            1 to 128 printable ASCII characters; default empty
 *                            names what the request buys, once for ever at one origin: a repeat, also
 *                            after a crash with a ledger file, presents the same payment, and another is
 *                            signed only where retry_policy says so
 *  * retry_policy            never, same-bytes, proven, or a number; default "proven"
 *                            what a repeat of a purchase may do while its payment's outcome is open:
 *                            nothing; present the same bytes; also sign anew once the old signature
 *                            provably cannot settle; or also after any 402, up to so many signatures
 *  * prepay                  true or false; default "false"
 *                            pay with the first request where this client paid the same method, origin
 *                            and path in the last 10 minutes; if the server turns that down and proves
 *                            so, the new terms may be paid too, and both count
 *  * sign_in                 true or false; default "false"
 *                            where a server offers sign-in-with-x, show it the wallet's address by a
 *                            signature before paying, in case it was paid before; reused at that origin
 *                            until it expires, over https or on this machine only
 *  * builder_code            up to 5 codes separated by commas, each 1 to 32 of a-z, 0-9 and _; empty: none; default empty
 *                            who built the software that pays: added where a server declares the
 *                            extension builder-code, for its facilitator to write on the chain
 *    proxy                   http://, socks5:// or socks5h:// URL, empty: none; default empty
 *                            the proxy for every request
 *    proxy_from_env          true or false; default "false"
 *                            take proxies from http_proxy, https_proxy, all_proxy, no_proxy
 *    ca_file                 path of a PEM file, empty: none; default empty
 *                            certificates to trust besides the others
 *    ca_builtin              true or false; default "true"
 *                            trust the built-in list of public authorities
 *    ca_system               true or false; default "false"
 *                            trust the system's list of authorities
 *    client_cert_file        path of a PEM file, empty: none; default empty
 *                            the certificate chain to show to servers that ask
 *    client_key_file         path of a PEM file, empty: none; default empty
 *                            its private key
 *    tls_min                 1.2 or 1.3; default "1.2"
 *                            the lowest version of TLS
 *    pool_idle               number; default "32"
 *                            idle connections kept in all
 *    pool_per_host           number; default "8"
 *                            idle connections kept for one host
 *    payer                   up to one address for each family of chains, separated by spaces, empty: the first keys of the wallet; default empty
 *                            which of the wallet's keys pay
 *  * v1_networks             name=CAIP-2 pairs separated by spaces, empty: none; default empty
 *                            what network names of x402 version 1 stand for where published clients
 *                            disagree (story, educhain, skale-base-sepolia) or know none; others keep
 *                            their meaning
 *    evm_rpc                 URL, or eip155:id=URL pairs separated by spaces, empty: none; default empty
 *                            nodes to ask for the few facts that some EVM offers need before they can be
 *                            signed, none for EIP-3009; and whether the void signature of a named
 *                            purchase was used, before another is made
 *    solana_rpc              URL, or solana:id=URL pairs separated by spaces, empty: none; default empty
 *                            nodes to ask for a blockhash or a mint where the offer and the built-in
 *                            table do not tell
 *    rpc_timeout_ms          milliseconds, 0: none; default "10000"
 *                            how long a node may take for everything that one payment needs
 *    queue_threads           number from 1; default "256"
 *                            operations that a queue has under way at once, each on a thread of its own;
 *                            threads start when needed
 *    queue_backlog           number; default "4096"
 *                            operations that a queue takes beyond those, to wait for a thread or for
 *                            their event to be taken
 *    unix_socket             path, empty: none; default empty
 *                            connect to this socket whatever the URL's host
 *    deny_private_addresses  true or false; default "false"
 *                            refuse loopback, private and link-local addresses at each connection
 */


#ifndef X402_H
#define X402_H

#include <stddef.h>
#include <stdint.h>
/* The version of this header; x402_version() is that of the library that is loaded. */
#define X402_VERSION "0.1.0"
#define X402_VERSION_MAJOR 0
#define X402_VERSION_MINOR 1
#define X402_VERSION_PATCH 0
#define X402_ABI_VERSION 0

/* An event to begin with: x402_event event = X402_EVENT_INIT; */
#define X402_EVENT_INIT { sizeof(x402_event), 0, X402_OK, 0, NULL, NULL, 0 }

/* On Windows, define X402_STATIC before including this to link the static library. */
#if defined(_WIN32) && !defined(X402_STATIC)
#define X402_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define X402_API __attribute__((visibility("default")))
#else
#define X402_API
#endif


/**
 * What an x402_sign_fn returns to be asked for another kind of the same message: "evm-digest" after "evm-typed-data".
 */
#define X402_SIGN_OTHER_KIND -2

/**
 * The length of a body that is not known before it was read.
 */
#define X402_LENGTH_UNKNOWN UINT64_MAX

/**
 * A request was sent, or failed: x402_queue_send.
 */
#define X402_EVENT_SEND 1

/**
 * A part of a body was read, or failed: x402_queue_read.
 */
#define X402_EVENT_READ 2

/**
 * For x402_queue_wait: as long as it takes.
 */
#define X402_WAIT_FOREVER UINT32_MAX

/**
 * What a call ended with. Families with gaps: 1xx the caller's mistake, 2xx the network, 3xx payment, 4xx limits,
 * 5xx internal. Numbers are never reused; new ones may come, so keep a default branch.
 */
enum x402_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Done. A response of any HTTP status, 402 included, is X402_OK: look at x402_response_status.
     */
    X402_OK = 0,
    /**
     * Not a failure: no event waits (x402_queue_next, x402_queue_wait), or a queue is full (x402_queue_send,
     * x402_queue_read).
     */
    X402_AGAIN = 1,
    /**
     * An argument is NULL, out of range, or not UTF-8.
     */
    X402_ERROR_ARGUMENT = 100,
    /**
     * A handle is NULL, freed, stale, or of another kind.
     */
    X402_ERROR_HANDLE = 101,
    /**
     * The URL cannot be parsed, or its scheme is not http, https or unix.
     */
    X402_ERROR_URL = 102,
    /**
     * The method is not an HTTP token.
     */
    X402_ERROR_METHOD = 103,
    /**
     * A header name or value holds a character that HTTP does not allow (CR, LF, NUL…).
     */
    X402_ERROR_HEADER = 104,
    /**
     * A private key is malformed or out of range.
     */
    X402_ERROR_KEY = 105,
    /**
     * A setting is unknown, or its value is not of the setting's form.
     */
    X402_ERROR_SETTING = 106,
    /**
     * An amount is not of the form "0.10 USD" or "10000 eip155:8453/erc20:0x…".
     */
    X402_ERROR_AMOUNT = 107,
    /**
     * A pattern of a policy rule is malformed.
     */
    X402_ERROR_PATTERN = 108,
    /**
     * The request or response is in use by another call or by a queue; or the token is.
     */
    X402_ERROR_BUSY = 109,
    /**
     * The queue was made before fork(), by the parent process; make another in the child.
     */
    X402_ERROR_FORKED = 110,
    /**
     * A body callback failed or stopped the call; see x402_error_callback_value.
     */
    X402_ERROR_BODY_CALLBACK = 120,
    /**
     * The body ended before, or went on after, the length it was declared with.
     */
    X402_ERROR_BODY_LENGTH = 121,
    /**
     * A body file cannot be opened or read.
     */
    X402_ERROR_BODY_FILE = 122,
    /**
     * Another callback (chunk, progress) stopped the call; see x402_error_callback_value.
     */
    X402_ERROR_CALLBACK = 123,
    /**
     * The host name could not be resolved.
     */
    X402_ERROR_RESOLVE = 200,
    /**
     * No address of the host accepted a connection.
     */
    X402_ERROR_CONNECT = 201,
    /**
     * The TLS handshake failed; a refused certificate is this too.
     */
    X402_ERROR_TLS = 202,
    /**
     * A deadline passed.
     */
    X402_ERROR_TIMEOUT = 203,
    /**
     * x402_request_cancel or x402_queue_cancel was called.
     */
    X402_ERROR_CANCELLED = 204,
    /**
     * The proxy refused, or could not be spoken to.
     */
    X402_ERROR_PROXY = 205,
    /**
     * The connection was lost before the answer was whole.
     */
    X402_ERROR_CONNECTION_LOST = 206,
    /**
     * The server's answer is not HTTP.
     */
    X402_ERROR_PROTOCOL = 207,
    /**
     * A redirect that cannot or must not be followed.
     */
    X402_ERROR_REDIRECT = 208,
    /**
     * The host's address is private and deny_private_addresses is on.
     */
    X402_ERROR_ADDRESS_DENIED = 209,
    /**
     * The answer's content coding (gzip, deflate) is broken.
     */
    X402_ERROR_CONTENT_CODING = 210,
    /**
     * The server's terms of payment are malformed.
     */
    X402_ERROR_CHALLENGE = 300,
    /**
     * Policy, budget or wallet declined the payment.
     */
    X402_ERROR_REFUSED = 301,
    /**
     * The signer failed.
     */
    X402_ERROR_SIGN = 302,
    /**
     * The body is larger than may be kept for a replay (replay_memory, replay_disk).
     */
    X402_ERROR_REPLAY_LIMIT = 400,
    /**
     * The answer is larger than the caller's bound.
     */
    X402_ERROR_RESPONSE_LIMIT = 401,
    /**
     * The answer's head is larger than the bound.
     */
    X402_ERROR_HEAD_LIMIT = 402,
    /**
     * A defect of this library was caught; free the handles of the call and report it.
     */
    X402_ERROR_PANIC = 500,
    /**
     * The system refused something the library needs (a temporary file, randomness, memory).
     */
    X402_ERROR_SYSTEM = 501,
    /**
     * The ledger file cannot be opened, read or written; nothing was signed.
     */
    X402_ERROR_LEDGER = 502,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum x402_status x402_status;
#else
typedef int32_t x402_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Where the money is. Every error and every response says so.
 */
enum x402_money
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nothing was signed.
     */
    X402_MONEY_NONE = 0,
    /**
     * The server asked, and the payment was declined here: policy, budget, or no key for it.
     */
    X402_MONEY_REFUSED = 1,
    /**
     * Signed, and proven not taken.
     */
    X402_MONEY_UNPAID = 2,
    /**
     * Settled: the server's receipt was read, with this answer or with an earlier one to the same payment.
     */
    X402_MONEY_PAID = 3,
    /**
     * Signed and perhaps sent, outcome not known. Count it as spent; x402_error_retry says what may be tried.
     */
    X402_MONEY_UNKNOWN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum x402_money x402_money;
#else
typedef int32_t x402_money;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Sends requests and pays when asked; keeps connections for the next one. Any thread, several at once: make one and
 * share it.
 */
typedef struct x402_client x402_client;

/**
 * How a client is to be made: wallet, policy, ledger, settings. Any thread. May be used for several clients, and freed once
 * they are made.
 */
typedef struct x402_config x402_config;

/**
 * Why a call failed. Made by the call, freed by the caller with x402_error_free. Any thread may read it.
 */
typedef struct x402_error x402_error;

/**
 * What was promised and what became of it. Any thread; give one ledger to as many configurations as share a budget.
 *
 * Every payment is an entry, written before it is signed. Its state is "open" (in flight, or its process died),
 * "unknown" (sent, and no receipt says paid), "paid", "released" (never left this machine) or "abandoned". The first
 * three count under every budget. A request that is repeated while its payment is in the open, or after it was paid and
 * the answer broke off or was a 5xx, presents the very same payment again; see the settings purchase_key and retry_policy.
 *
 * A ledger file is an SQLite database with mode 0600 that any number of threads, handles and processes may use at
 * once, on one machine and a local disk. Look at it with the sqlite3 shell; its schema says what each column means.
 * Do not use one handle on both sides of a fork.
 */
typedef struct x402_ledger x402_ledger;

/**
 * One purchase: what was asked, signed and answered. Any thread may read it.
 *
 * Borrowed from a response or an error, and valid until that is freed; or made by x402_client_pay, and the caller's,
 * to be freed with x402_payment_free.
 */
typedef struct x402_payment x402_payment;

/**
 * What may be paid. Any thread.
 *
 * A new policy allows 1.00 USD a payment and 10.00 USD in all, known assets only, over https or to loopback only.
 * Amounts are decimal text: "0.10 USD" for the known dollar assets, or atomic units with the asset:
 * "10000 eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".
 */
typedef struct x402_policy x402_policy;

/**
 * Sends and reads that do not block: given in with a token, taken out as events. Any thread, several at once.
 *
 *     x402_queue_send(queue, request, 7, &error);            returns at once
 *     poll() on x402_queue_fd(queue), or x402_queue_wait     until something completed
 *     while (x402_queue_next(queue, &event) == X402_OK)      take all of it
 *         ... event.token == 7, event.response or event.error is yours to free
 *
 * The work is done by threads of the queue's own, at most queue_threads of them (a setting of the client), started when
 * needed and ended when idle for some seconds, with the program's signals blocked. CALLBACKS OF WHAT IS GIVEN TO A QUEUE
 * RUN ON THESE THREADS (body, rewind, progress, approval, log), several at once, with a stack of 512 KiB. What is beyond
 * queue_threads waits in order; beyond queue_backlog more, events not taken included, X402_AGAIN.
 *
 * A queue belongs to the process that made it: in a child after fork() every function but x402_queue_free answers
 * X402_ERROR_FORKED.
 */
typedef struct x402_queue x402_queue;

/**
 * One request. One thread at a time, except for x402_request_cancel; a second thread gets X402_ERROR_BUSY, and so does
 * everyone while a queue has it.
 */
typedef struct x402_request x402_request;

/**
 * An answer: head and, for pulling, its body. One thread at a time; a second that reads gets X402_ERROR_BUSY. The head
 * may be looked at by any thread at any time, also while a queue reads the body.
 * Freeing it closes the connection, or hands a fully read one back for the next request.
 */
typedef struct x402_response x402_response;

/**
 * Keys that may sign payments. Any thread.
 */
typedef struct x402_wallet x402_wallet;

/**
 * Signs with a key that stays elsewhere: a KMS, an HSM, another process. Runs on the thread that called in and while
 * no lock of the library is held: it may block, and may call the library. Must not unwind or longjmp.
 *
 * Returns 0 when it has signed, X402_SIGN_OTHER_KIND to be asked again, or any other value to refuse: nothing is then
 * paid, the caller gets the original 402, and x402_payment_refusal names the value.
 *
 * An ed25519 signature must be the same for the same message each time (RFC 8032), because a payment is signed again
 * when it is sent again. EVM signatures may differ: the nonce inside the message lets only one of them settle.
 *
 * @param kind           "evm-typed-data": `data` is the message as JSON, as eth_signTypedData_v4 takes it (EIP-712), so
 *                       that a wallet can show what it signs. "evm-digest": its 32-byte hash, only sent to a signer that
 *                       returned X402_SIGN_OTHER_KIND for the JSON. "solana-message": the message's bytes.
 * @param data           what to sign, `len` bytes, valid during the call; JSON is not NUL-terminated
 * @param signature      where the signature goes: room for `cap` bytes (4096)
 * @param signature_len  to be set to the signature's length. EVM: 65 bytes r, s, v, or 64 without v; both are checked
 *                       against the address, and v and a high s are put right. Another length is passed on as a smart
 *                       wallet's (ERC-1271, ERC-6492). Solana: 64 bytes, checked.
 */
typedef int32_t (*x402_sign_fn)(void *userdata,
                                const char *kind,
                                const uint8_t *data,
                                size_t len,
                                uint8_t *signature,
                                size_t cap,
                                size_t *signature_len);

/**
 * Asked before each payment, after every rule has agreed. 0 pays; anything else refuses, and the caller gets the
 * original 402. Runs on the thread that called in and is not interrupted: a 0 that comes later than sign_timeout_ms or
 * total_timeout_ms allow refuses too. Must not unwind or longjmp.
 *
 * @param offer_json  the chosen offer, a JSON object, NUL-terminated; valid during the call. Its member deposit_max, where
 *                    there is one, is the most that would be deposited in a payment channel; without it nothing is.
 * @param len         its length without the NUL
 */
typedef int32_t (*x402_approve_fn)(void *userdata, const char *offer_json, size_t len);

/**
 * Told what a client does, a line at a time. Runs on any thread that calls in, perhaps several at once.
 *
 * @param level  1 error, 2 warning, 3 information, 4 detail
 * @param line   UTF-8, no line end, NUL-terminated; valid during the call. Never a key, signature or payment header.
 */
typedef void (*x402_log_fn)(void *userdata, int32_t level, const char *line, size_t len);

/**
 * Gives the next bytes of a request body: fills `buffer` with up to `cap` bytes and sets `*len`; 0 bytes is the end.
 * 0 goes on; any other value stops the call with X402_ERROR_BODY_CALLBACK. Where a length was declared it is asked
 * once more after the last byte, and must then say 0 bytes: a body that goes on is never sent whole. Runs on the
 * thread that sends: for x402_queue_send, that is one of the queue's own. Must not unwind or longjmp.
 */
typedef int32_t (*x402_read_fn)(void *userdata, uint8_t *buffer, size_t cap, size_t *len);

/**
 * Goes back to the body's first byte, for the paid replay. 0: done; any other value: it cannot be done.
 */
typedef int32_t (*x402_rewind_fn)(void *userdata);

/**
 * Told how far a call has come, in body bytes; a total not known is X402_LENGTH_UNKNOWN. 0 goes on; any other value
 * stops the call with X402_ERROR_CALLBACK. `sent` starts again at 0 when the body is sent again. Runs on the thread that
 * sends or reads, one of a queue's own if a queue does.
 */
typedef int32_t (*x402_progress_fn)(void *userdata,
                                    uint64_t sent,
                                    uint64_t send_total,
                                    uint64_t received,
                                    uint64_t receive_total);

/**
 * Handed the next bytes of a body; `data` is valid during the call. 0 goes on; any other value stops with
 * X402_ERROR_CALLBACK. Must not unwind or longjmp.
 */
typedef int32_t (*x402_chunk_fn)(void *userdata, const uint8_t *data, size_t len);

/**
 * One completed operation. Set `struct_size` to sizeof(x402_event) (or begin with X402_EVENT_INIT) and leave it: a later
 * library may know more members, and writes no more than it says. The other members are outputs.
 *
 * On 64-bit machines it has 48 bytes, the members at 0, 8, 16, 20, 24, 32 and 40, for languages that read bytes.
 */
typedef struct {
    /**
     * In: the size of this struct, in bytes.
     */
    size_t struct_size;
    /**
     * The token the operation was given.
     */
    uint64_t token;
    /**
     * What the operation ended with; what x402_client_send or x402_response_read would have returned.
     */
    x402_status status;
    /**
     * X402_EVENT_SEND or X402_EVENT_READ; others may come, to be ignored but for freeing.
     */
    int32_t kind;
    /**
     * Of X402_EVENT_SEND with X402_OK: the response, yours to free with x402_response_free. Otherwise NULL.
     */
    x402_response *response;
    /**
     * If status is not X402_OK: the error, yours to free with x402_error_free. Otherwise NULL.
     */
    x402_error *error;
    /**
     * Of X402_EVENT_READ with X402_OK: how many bytes are in the buffer; 0 is the end of the body. Otherwise 0.
     */
    size_t len;
} x402_event;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status, such as "X402_ERROR_TIMEOUT".
 *
 * Any number may be passed; one that is no status gives "X402_ERROR_?". Never NULL, never to be freed. Any thread.
 */
X402_API const char *x402_status_name(x402_status status);

/**
 * The version of the library that is loaded, such as "0.1.0". Compare with X402_VERSION, that of the header.
 *
 * Never NULL, never to be freed. Any thread.
 */
X402_API const char *x402_version(void);

/**
 * The version of the binary interface, the number at the end of the soname. Must equal X402_ABI_VERSION; a language
 * binding that loads the library at run time should check.
 */
X402_API uint32_t x402_abi_version(void);

/**
 * How many handles (and texts of x402_client_quote_json) were given out and not yet freed, in the whole process.
 *
 * For leak checks in tests: 0 when everything was freed. Borrowed payments do not count. Any thread.
 */
X402_API uint64_t x402_live_handles(void);

/**
 * The status of an error; the same as the call returned.
 *
 * X402_OK for NULL, X402_ERROR_HANDLE for a handle that is not alive.
 */
X402_API x402_status x402_error_status(const x402_error *error);

/**
 * One sentence: what failed, which value, what to do. UTF-8, for people; never a key, signature or password.
 *
 * Valid until the error is freed. Never NULL: for a handle that is not alive it says so.
 */
X402_API const char *x402_error_message(const x402_error *error);

/**
 * Where the money is after the failed call: X402_MONEY_NONE if nothing was signed.
 *
 * X402_MONEY_UNKNOWN for NULL and for a handle that is not alive, because that is the safe guess.
 */
X402_API x402_money x402_error_money(const x402_error *error);

/**
 * What may be tried again without paying twice:
 * "never" (the same call will fail in the same way), "same-bytes" (only with the very same payment), "new-quote"
 * (by asking for terms again; the earlier payment cannot settle), "safe" (freely: nothing was signed).
 *
 * Never NULL; "never" for a handle that is not alive. Valid until the error is freed.
 */
X402_API const char *x402_error_retry(const x402_error *error);

/**
 * What the caller's own callback returned to stop the call, unchanged; 0 if no callback stopped it.
 */
X402_API int32_t x402_error_callback_value(const x402_error *error);

/**
 * The payment the failed call had begun, or NULL if it never came to one.
 *
 * Borrowed: it ends with the error and is not freed.
 */
X402_API const x402_payment *x402_error_payment(const x402_error *error);

/**
 * Frees an error. NULL, or a handle freed before, is nothing.
 */
X402_API void x402_error_free(x402_error *error);

/**
 * Makes an empty wallet. Free it with x402_wallet_free.
 *
 * @param out    set to the wallet
 * @param error  set on failure; NULL if not wanted
 */
X402_API x402_status x402_wallet_new(x402_wallet **out, x402_error **error);

/**
 * Adds a secp256k1 private key, for payments on EVM networks.
 *
 * @param hex  64 hex digits, "0x" before them or not. Copied; wipe your own copy. An error never repeats it.
 *
 * X402_ERROR_KEY if it is malformed, zero, or not below the curve's order.
 */
X402_API x402_status x402_wallet_add_evm_key(x402_wallet *wallet, const char *hex, x402_error **error);

/**
 * Adds the EVM key of a mnemonic: words of the English BIP-39 list, keys by BIP-32.
 *
 * @param phrase           12, 15, 18, 21 or 24 words with spaces between them. Copied; wipe your own copy.
 * @param passphrase       the phrase's own passphrase (the "25th word"); NULL or "" if it has none
 * @param derivation_path  such as "m/44'/60'/0'/0/1"; NULL: "m/44'/60'/0'/0/0", the first account of most wallets
 *
 * X402_ERROR_KEY names the position of a word that is not on the list (never the word), the count, the checksum, or
 * the component of the path.
 */
X402_API x402_status x402_wallet_add_evm_mnemonic(x402_wallet *wallet,
                                                  const char *phrase,
                                                  const char *passphrase,
                                                  const char *derivation_path,
                                                  x402_error **error);

/**
 * Adds an ed25519 key, for payments on Solana.
 *
 * @param base58_or_json  the key pair of 64 bytes in base58, as browser wallets export it, or as a JSON array of numbers,
 *                        as solana-keygen writes it. Copied; wipe your own copy. An error never repeats it.
 *
 * X402_ERROR_KEY if it is malformed, of another length, zero, or its second half is not the public key of its first.
 */
X402_API x402_status x402_wallet_add_solana_key(x402_wallet *wallet,
                                                const char *base58_or_json,
                                                x402_error **error);

/**
 * Adds the Solana key of a mnemonic: as x402_wallet_add_evm_mnemonic, but by SLIP-0010, where every component of the
 * path is hardened.
 *
 * @param derivation_path  NULL: "m/44'/501'/0'/0'", the first account of most wallets
 */
X402_API x402_status x402_wallet_add_solana_mnemonic(x402_wallet *wallet,
                                                     const char *phrase,
                                                     const char *passphrase,
                                                     const char *derivation_path,
                                                     x402_error **error);

/**
 * Adds the key of a file: a version 3 keystore (Web3 Secret Storage, as geth and most EVM wallets write it), or a Solana
 * key pair as solana-keygen writes it. The file must be readable by its owner alone (chmod 600). May take a second and
 * 256 MiB: opening a keystore is meant to be slow. A file that asks for more is refused.
 *
 * @param path      of the file; links are followed
 * @param password  of a keystore, as UTF-8; NULL for a Solana key pair. Copied; wipe your own copy.
 *
 * X402_ERROR_KEY names what is wrong with the file; a wrong password is this too.
 */
X402_API x402_status x402_wallet_add_keyfile(x402_wallet *wallet,
                                             const char *path,
                                             const char *password,
                                             x402_error **error);

/**
 * Adds a signer whose key stays elsewhere. Not NULL.
 *
 * @param family    "eip155" for an EVM account, "eip155-contract" for an EVM smart wallet that judges signatures by its
 *                  own code (ERC-1271): what its signer gives is passed on unchecked; "solana"
 * @param address   who pays: hexadecimal with "0x", or base58 for Solana
 * @param userdata  handed to the callback; must stay valid until the wallet and every client made with it are freed
 *
 * X402_ERROR_ARGUMENT for another family, X402_ERROR_KEY for an address that is none.
 */
X402_API x402_status x402_wallet_add_signer(x402_wallet *wallet,
                                            const char *family,
                                            const char *address,
                                            x402_sign_fn sign,
                                            void *userdata,
                                            x402_error **error);

/**
 * The address of a key in the wallet, to be funded or shown.
 *
 * @param family   "eip155" for EVM networks (signers and contracts too), "solana"
 * @param index    0 for the first key of the family, in the order they were added
 * @param address  set to the address (EIP-55 mixed case, or base58), valid until the wallet is freed
 *
 * X402_ERROR_ARGUMENT if the family has no key of that index.
 */
X402_API x402_status x402_wallet_address(const x402_wallet *wallet,
                                         const char *family,
                                         size_t index,
                                         const char **address,
                                         x402_error **error);

/**
 * Frees a wallet; configurations and clients made with it keep their copy of the keys. NULL is nothing.
 */
X402_API void x402_wallet_free(x402_wallet *wallet);

/**
 * Makes a policy with the cautious defaults named at x402_policy. Free it with x402_policy_free.
 */
X402_API x402_status x402_policy_new(x402_policy **out, x402_error **error);

/**
 * Sets the most a single payment may cost, in place of the 1.00 USD a new policy has. A limit in an asset's own units
 * holds beside that in dollars; a second one in the same units replaces the first.
 *
 * @param amount  "0.10 USD", or atomic units with the asset; see x402_policy
 *
 * X402_ERROR_AMOUNT if it is of neither form.
 */
X402_API x402_status x402_policy_max_per_payment(x402_policy *policy,
                                                 const char *amount,
                                                 x402_error **error);

/**
 * Sets how much may be spent in all within a time. Several budgets hold at once, and each must allow a payment; one of
 * the same scope, window and units as an earlier one replaces it. A new policy has ("all", 0, "10.00 USD").
 *
 * @param scope     "all"; or "purchase", "host" or "payee": the amount is for each of them apart. A purchase is all its
 *                  signatures together, where retry_policy lets it have more than one; one without a purchase_key ends
 *                  once it is paid or can no longer settle
 * @param window_s  seconds the spending is summed over; 0: for ever
 * @param amount    "5.00 USD", or atomic units with the asset; see x402_policy
 *
 * X402_ERROR_ARGUMENT for another scope, X402_ERROR_AMOUNT if the amount is of neither form.
 */
X402_API x402_status x402_policy_budget(x402_policy *policy,
                                        const char *scope,
                                        uint64_t window_s,
                                        const char *amount,
                                        x402_error **error);

/**
 * Allows something by name. The first rule for a "what" makes it a list: only what is on it is paid.
 *
 * @param what     "network", "asset", "payee", "host" or "scheme"; or "plain_http_host": a host that may be paid over
 *                 plain http, which otherwise only loopback may; or "approval" with the pattern "unlimited": a payment
 *                 through Permit2 may bring along an approval of Permit2 for all of the token, now and later, where
 *                 the server offers to send it (extension erc20ApprovalGasSponsoring) and evm_rpc is set. No budget
 *                 counts its gas, which the server pays for, or else the payer's account, in coins of the chain:
 *                 70,000 at the price that the node gives, 1000 gwei at most;
 *                 or "receipt" with the pattern "upto": a receipt of the
 *                 scheme upto that says that less was taken than was signed lowers what counts to that. Without it the
 *                 signed maximum counts, because a receipt is the server's claim;
 *                 or "deposit" with an amount in place of a pattern ("5.00 USD"): the most that one signature may deposit
 *                 in a payment channel, without which offers of batch-settlement are refused. Budgets count a deposit in
 *                 full when it is signed, and the payments out of it not again; max_per_payment is held against the
 *                 price. A second one in the same units replaces the first
 * @param pattern  the name itself, "*", a beginning and "*" ("eip155:*"), or for hosts "*." and a domain
 *                 ("*.example.com": every name below it)
 *
 * X402_ERROR_ARGUMENT for another "what", X402_ERROR_PATTERN for a malformed pattern, X402_ERROR_AMOUNT for a malformed
 * amount of a deposit.
 */
X402_API x402_status x402_policy_allow(x402_policy *policy,
                                       const char *what,
                                       const char *pattern,
                                       x402_error **error);

/**
 * Prefers something when the server offers a choice: rules given earlier win over later ones, and any of them over
 * the price.
 *
 * @param what     "network", "scheme" or "asset"
 * @param pattern  as for x402_policy_allow
 *
 * X402_ERROR_ARGUMENT for another "what", X402_ERROR_PATTERN for a malformed pattern.
 */
X402_API x402_status x402_policy_prefer(x402_policy *policy,
                                        const char *what,
                                        const char *pattern,
                                        x402_error **error);

/**
 * Asks `approve` before each payment. Not NULL; a second call replaces the first.
 *
 * @param userdata  handed to the callback; must stay valid until every client made with this policy is freed
 */
X402_API x402_status x402_policy_approve(x402_policy *policy,
                                         x402_approve_fn approve,
                                         void *userdata,
                                         x402_error **error);

/**
 * Frees a policy; configurations made with it keep their copy of the rules. NULL is nothing.
 */
X402_API void x402_policy_free(x402_policy *policy);

/**
 * Opens the ledger in a file, or makes one. Free it with x402_ledger_free.
 *
 * @param path  the file; NULL keeps the ledger in memory, for the clients of this process that share it
 *
 * X402_ERROR_LEDGER if the file cannot be used: not a ledger, corrupt, of a newer version, not writable, locked for
 * 5 s, or open to others than its owner (chmod 600). Such a file is left as it is. The same error ends a call that
 * would have paid while its ledger cannot be written; nothing is signed then.
 */
X402_API x402_status x402_ledger_open(const char *path,
                                      x402_ledger **out,
                                      x402_error **error);

/**
 * What counts by now, as a JSON list: scope ("all", "host", "payee"), key, unit (the asset), amount in atomic units,
 * and usd where the asset is a known dollar asset. After them the payment channels: scope "channel", the channel's id as
 * key, what is deposited as amount, charged (as last acknowledged), signed_max (the most that its vouchers let the payee
 * have), payer and payee.
 *
 * @param json  set to the list; free it with x402_string_free
 */
X402_API x402_status x402_ledger_totals_json(const x402_ledger *ledger,
                                             char **json,
                                             x402_error **error);

/**
 * Entries as a JSON list, oldest first. In memory, only those that can be presented again or abandoned. One that is paid
 * by a payment channel names it (channel) and what it deposits (deposit), which is what counts of it. Nothing in the list
 * helps anyone to pay.
 *
 * @param after_id  the last id of the page before; 0 for the first page
 * @param limit     the most entries to give; 10,000 at most are given
 * @param json      set to the list; free it with x402_string_free
 */
X402_API x402_status x402_ledger_entries_json(const x402_ledger *ledger,
                                              uint64_t after_id,
                                              size_t limit,
                                              char **json,
                                              x402_error **error);

/**
 * As x402_ledger_entries_json, of those entries alone whose outcome is open: "unknown", or "open", or paid with an
 * answer that broke off ("broke_off"). What an operator looks at; x402_ledger_abandon gives one of them up, unless it
 * is in flight ("in_flight"). "at_s" and "valid_before_s" are seconds since 1970.
 */
X402_API x402_status x402_ledger_unsettled_json(const x402_ledger *ledger,
                                                uint64_t after_id,
                                                size_t limit,
                                                char **json,
                                                x402_error **error);

/**
 * Gives up an entry that is "unknown", or "open" in a process that died: it counts no more, and its purchase may be
 * signed anew. The risk is yours: if that payment settles after all, the purchase is paid twice and the budgets are
 * passed by its amount. Safe once its valid_before_s is five minutes past and the chain shows no transfer (of a deposit: to
 * the channel's contract); never provably so for what is drawn from a payment channel. Of a paid entry whose
 * answer broke off only the answer is given up: its amount goes on counting, and the next request buys anew.
 *
 * @param entry  its id in x402_ledger_unsettled_json
 *
 * X402_ERROR_ARGUMENT if there is no such entry, or if it is in flight, paid, or does not count already.
 */
X402_API x402_status x402_ledger_abandon(x402_ledger *ledger,
                                         uint64_t entry,
                                         x402_error **error);

/**
 * Frees a ledger; clients made with it keep it until they are freed. NULL is nothing.
 */
X402_API void x402_ledger_free(x402_ledger *ledger);

/**
 * Makes a configuration with no wallet (nothing can be paid), the policy x402_policy_new would give, and the defaults
 * of the table at the head of this file. Free it with x402_config_free.
 */
X402_API x402_status x402_config_new(x402_config **out,
                                     x402_error **error);

/**
 * Gives the keys to sign with. The wallet is taken as it is now: keys added later do not reach the configuration.
 */
X402_API x402_status x402_config_wallet(x402_config *config,
                                        const x402_wallet *wallet,
                                        x402_error **error);

/**
 * Gives the rules to pay by. The policy is taken as it is now: rules added later do not reach the configuration.
 */
X402_API x402_status x402_config_policy(x402_config *config,
                                        const x402_policy *policy,
                                        x402_error **error);

/**
 * Gives the ledger to keep the budgets in: they then hold over every client of it together, in this process and, with
 * a file, in all. Without this, each client has a ledger of its own in memory.
 */
X402_API x402_status x402_config_ledger(x402_config *config,
                                        const x402_ledger *ledger,
                                        x402_error **error);

/**
 * Changes a setting. The keys, their forms and defaults are in the table at the head of this file.
 *
 * X402_ERROR_SETTING, with a message naming key and value, if the key is unknown or the value not of its form.
 */
X402_API x402_status x402_config_set(x402_config *config,
                                     const char *key,
                                     const char *value,
                                     x402_error **error);

/**
 * Tells `log` what clients made with this configuration do. Not NULL; a second call replaces the first.
 *
 * @param userdata  handed to the callback; must stay valid until every such client is freed
 */
X402_API x402_status x402_config_log(x402_config *config,
                                     x402_log_fn log,
                                     void *userdata,
                                     x402_error **error);

/**
 * Frees a configuration; clients made with it are not affected. NULL is nothing.
 */
X402_API void x402_config_free(x402_config *config);

/**
 * Makes a client from the configuration as it is now. Free it with x402_client_free.
 *
 * Reads the files the configuration names (ca_file and the like), and fails if they are no good.
 */
X402_API x402_status x402_client_new(const x402_config *config, x402_client **out, x402_error **error);

/**
 * Frees a client. Calls in progress end as if it were still there, and responses stay readable. NULL is nothing.
 */
X402_API void x402_client_free(x402_client *client);

/**
 * Sends a GET and waits for the head of the answer, paying on the way if the server asks and the policy agrees.
 *
 * @param out  set to the response, whatever its HTTP status; free it with x402_response_free
 *
 * Errors as for x402_client_send.
 */
X402_API x402_status x402_client_get(x402_client *client,
                                     const char *url,
                                     x402_response **out,
                                     x402_error **error);

/**
 * Sends a POST with a body from memory; otherwise as x402_client_get.
 *
 * @param content_type  the body's media type, such as "application/json"; NULL: no Content-Type header
 * @param body          `len` bytes, copied before the call returns; NULL if `len` is 0
 */
X402_API x402_status x402_client_post(x402_client *client,
                                      const char *url,
                                      const char *content_type,
                                      const uint8_t *body,
                                      size_t len,
                                      x402_response **out,
                                      x402_error **error);

/**
 * Sends a request and waits for the head of the answer, paying on the way if the server asks and the policy agrees.
 *
 * X402_OK means that there is an answer, of whatever HTTP status. If the server asked for money and was not paid,
 * that answer is its 402, whole, and x402_payment_refusal says why; x402_response_money says where the money is.
 *
 * The request may be sent again afterwards, if its body can be read again. Its callbacks run on this thread, during
 * this call.
 *
 * @param out  set to the response; free it with x402_response_free
 *
 * X402_ERROR_BUSY if the request is in use. 1xx for a request that cannot be sent, 2xx when the network fails: then
 * x402_error_money says whether a payment may have left, and x402_error_retry what may be tried again.
 */
X402_API x402_status x402_client_send(x402_client *client,
                                      x402_request *request,
                                      x402_response **out,
                                      x402_error **error);

/**
 * Asks what a request would cost, and never pays: sends it, reads the 402 if one comes, and says what the policy
 * would make of it: each offer with its price, and with the verdict of each rule, wallet and budgets included.
 *
 * @param json  set to a JSON object; free it with x402_string_free
 */
X402_API x402_status x402_client_quote_json(x402_client *client,
                                            x402_request *request,
                                            char **json,
                                            x402_error **error);

/**
 * Pays a 402 that your own HTTP client got: chooses the offer, holds it against policy and budgets, and signs. Sends
 * nothing.
 *
 * Send the same request again with the header x402_payment_header_name: x402_payment_header_value, and tell
 * x402_payment_settle what was answered.
 *
 * The amount counts as spent from here on, because what you do with the header is out of sight; there is no way to
 * take that back. Call it once a purchase: each call signs a payment of its own, unless purchase_key names the purchase;
 * x402_client_pay_request takes a name for each. An Idempotency-Key header of yours is for the server alone. A 402
 * that answers a payment (it has a PAYMENT-RESPONSE header) is refused here.
 *
 * Nobody keeps caches away from your request: add Cache-Control: no-cache, no-store, unless it is there.
 *
 * @param method         of your request
 * @param url            that answered. Its host is the one that is paid: if your HTTP client followed redirects, see
 *                       that they led where you mean to pay. Over http:// to this machine, do not go through a proxy.
 * @param status         402
 * @param header_names   all headers of the 402, names in any case
 * @param header_values  their values, NUL-terminated, as they came
 * @param header_count   how many; both arrays may be NULL if 0
 * @param body           the 402's body, `body_len` bytes, its content coding undone: servers of x402 version 1 put their
 *                       terms there. NULL if `body_len` is 0
 * @param out            set to the payment; free it with x402_payment_free
 *
 * If it fails, nothing was signed, unless x402_error_money says so. X402_ERROR_REFUSED: no offer may be paid;
 * x402_payment_refusal of x402_error_payment has the reason of each. X402_ERROR_CHALLENGE: the terms are malformed, or
 * there are none (X402_MONEY_NONE). X402_ERROR_ARGUMENT: `status` is not 402.
 */
X402_API x402_status x402_client_pay(x402_client *client,
                                     const char *method,
                                     const char *url,
                                     uint16_t status,
                                     const char *const *header_names,
                                     const char *const *header_values,
                                     size_t header_count,
                                     const uint8_t *body,
                                     size_t body_len,
                                     x402_payment **out,
                                     x402_error **error);

/**
 * As x402_client_pay, for a request that is described by a handle: with its method, its URL and its own settings
 * (purchase_key, retry_policy, sign_timeout_ms), and known again by method, URL and body as x402_client_send knows it:
 * after a payment of it that was freed unsettled and may settle yet, the same header is given and no other payment made.
 *
 * The request is not sent, and none of its callbacks is called; give it the body that you send, in memory or as a file,
 * or a purchase_key. Its headers count for nothing here. A file is read whole to know it, unless policy or wallet refuse
 * anyway; x402_request_cancel and total_timeout_ms end that.
 *
 * @param request  what you send yourself; if your HTTP client followed redirects, one with the URL that answered
 *
 * The other parameters and the errors are those of x402_client_pay; X402_ERROR_BUSY if the request is in use.
 */
X402_API x402_status x402_client_pay_request(x402_client *client,
                                             x402_request *request,
                                             uint16_t status,
                                             const char *const *header_names,
                                             const char *const *header_values,
                                             size_t header_count,
                                             const uint8_t *body,
                                             size_t body_len,
                                             x402_payment **out,
                                             x402_error **error);

/**
 * Makes a request. Free it with x402_request_free.
 *
 * @param method  "GET", "POST" or any other HTTP method
 * @param url     absolute, https: or http:, or unix:/path/to/socket:/http/path. A user name and password in it become
 *                basic authorization.
 *
 * X402_ERROR_METHOD or X402_ERROR_URL if either is malformed.
 */
X402_API x402_status x402_request_new(const char *method,
                                      const char *url,
                                      x402_request **out,
                                      x402_error **error);

/**
 * Adds a header. The same name may be added several times.
 *
 * A payment header of your own (PAYMENT-SIGNATURE, X-PAYMENT) goes out as it is, and then the library pays nothing for
 * this request, not even after a 402: what you sent may settle yet, and a second payment would be on top of it.
 *
 * X402_ERROR_HEADER if the name is not an HTTP token or the value holds CR, LF or another control character.
 */
X402_API x402_status x402_request_header(x402_request *request,
                                         const char *name,
                                         const char *value,
                                         x402_error **error);

/**
 * Gives the body from memory. This and the other body functions replace any body given before.
 *
 * @param data  `len` bytes, copied before the call returns; NULL if `len` is 0
 */
X402_API x402_status x402_request_body_bytes(x402_request *request,
                                             const uint8_t *data,
                                             size_t len,
                                             x402_error **error);

/**
 * Gives the body from a file, opened when the request is sent and again for a paid replay; never copied.
 *
 * A file that cannot be opened is X402_ERROR_BODY_FILE from x402_client_send.
 */
X402_API x402_status x402_request_body_file(x402_request *request, const char *path, x402_error **error);

/**
 * Gives the body from a callback.
 *
 * @param read      called for the next bytes; not NULL
 * @param rewind    called to start over for the paid replay; NULL: libx402 keeps a copy of what was read (settings
 *                  replay_memory, replay_disk, replay_dir), and pulls what was not read yet during the replay
 * @param userdata  handed to both; must stay valid until the request is freed or given another body
 * @param length    the body's length in bytes, which is then enforced; or X402_LENGTH_UNKNOWN
 */
X402_API x402_status x402_request_body_reader(x402_request *request,
                                              x402_read_fn read,
                                              x402_rewind_fn rewind,
                                              void *userdata,
                                              uint64_t length,
                                              x402_error **error);

/**
 * Asks to be told how far the call has come. Not NULL; a second call replaces the first.
 *
 * @param userdata  handed to the callback; must stay valid until the request is freed, and the response too: reading
 *                  the answer's body reports as well
 */
X402_API x402_status x402_request_progress(x402_request *request,
                                           x402_progress_fn progress,
                                           void *userdata,
                                           x402_error **error);

/**
 * Changes a setting for this request only. The keys are those of x402_config_set that the table marks for requests.
 */
X402_API x402_status x402_request_set(x402_request *request,
                                      const char *key,
                                      const char *value,
                                      x402_error **error);

/**
 * Cancels the request, from any thread, at any time: the call that sends it, or reads its answer, ends within
 * moments with X402_ERROR_CANCELLED. Cancelled before it is sent, it ends as soon as it is.
 */
X402_API x402_status x402_request_cancel(x402_request *request);

/**
 * Frees a request; while it is being sent, also by a queue, the call goes on. NULL is nothing.
 */
X402_API void x402_request_free(x402_request *request);

/**
 * The HTTP status: 200, 402… 0 for a response that is not alive.
 */
X402_API uint16_t x402_response_status(const x402_response *response);

/**
 * The value of the first header of a name, whatever its case; NULL if there is none.
 *
 * @param len  set to the value's length (it may hold any byte but NUL, CR and LF); NULL if not wanted
 *
 * Valid until the response is freed.
 */
X402_API const char *x402_response_header(const x402_response *response, const char *name, size_t *len);

/**
 * How many headers there are, for x402_response_header_at; 0 for a response that is not alive.
 */
X402_API size_t x402_response_header_count(const x402_response *response);

/**
 * The header at an index, in the order they came.
 *
 * @param name, value  set to texts valid until the response is freed
 * @param value_len    set to the value's length; NULL if not wanted
 *
 * X402_ERROR_ARGUMENT if there are not that many.
 */
X402_API x402_status x402_response_header_at(const x402_response *response,
                                             size_t index,
                                             const char **name,
                                             const char **value,
                                             size_t *value_len,
                                             x402_error **error);

/**
 * The URL that answered, after redirects. Valid until the response is freed; NULL for one that is not alive.
 */
X402_API const char *x402_response_url(const x402_response *response);

/**
 * Reads the next bytes of the body; waits for at least one.
 *
 * @param buffer  filled with up to `cap` bytes
 * @param len     set to how many; 0 is the end
 *
 * X402_ERROR_TIMEOUT, X402_ERROR_CANCELLED, X402_ERROR_CONNECTION_LOST and other 2xx if the rest does not come. Such an
 * error stays: however the body is read on, the same comes again, and never an end that was none. (X402_ERROR_CALLBACK
 * of a progress callback stays too; what arrived with it is handed out first.)
 */
X402_API x402_status x402_response_read(x402_response *response,
                                        uint8_t *buffer,
                                        size_t cap,
                                        size_t *len,
                                        x402_error **error);

/**
 * Reads the body to its end, handing each piece to `chunk`.
 *
 * While `chunk` runs, the head may be asked for and the response may be freed; freed, it is read to no further chunk.
 * If `chunk` stops the call, x402_response_read goes on behind the last piece.
 */
X402_API x402_status x402_response_each(x402_response *response,
                                        x402_chunk_fn chunk,
                                        void *userdata,
                                        x402_error **error);

/**
 * 1 if the rest of the body can be read without waiting: it has arrived, and its end has no ledger file to wait for. Then
 * x402_response_read may be called where nothing may block, a program's loop for instance, until it says the end. 0 if not,
 * if that is not known (a body without a Content-Length), for a body that is decoded, because what came may unfold into any
 * length, and for a response that is in use or not alive.
 */
X402_API int32_t x402_response_is_whole(const x402_response *response);

/**
 * Reads the rest of the body into memory.
 *
 * @param max   the most to read, in bytes
 * @param data  set to the bytes, with a NUL after them that is not counted; valid until the response is freed
 * @param len   set to how many
 *
 * A second call gives the same bytes again. X402_ERROR_RESPONSE_LIMIT if there are more than `max`; errors of
 * x402_response_read if the rest does not come. Either way nothing is lost: x402_response_read hands out what arrived.
 */
X402_API x402_status x402_response_read_all(x402_response *response,
                                            size_t max,
                                            const uint8_t **data,
                                            size_t *len,
                                            x402_error **error);

/**
 * Where the money is.
 *
 * X402_MONEY_UNKNOWN for a response that is not alive (NULL too), because that is the safe guess.
 */
X402_API x402_money x402_response_money(const x402_response *response);

/**
 * What was asked, signed and answered, or NULL if the server asked for nothing.
 *
 * Borrowed: it ends with the response and is not freed.
 */
X402_API const x402_payment *x402_response_payment(const x402_response *response);

/**
 * Frees a response: closes its connection, or hands a fully read one back for the next request. NULL is nothing.
 *
 * A read of it that a queue has under way is cancelled; its event still comes.
 */
X402_API void x402_response_free(x402_response *response);

/**
 * The amount in the asset's atomic units, decimal: "10000" is 0.01 of an asset with 6 decimals. "" if no offer was
 * chosen.
 *
 * This and the texts below: valid until the response or error the payment came from is freed, or the payment itself if
 * x402_client_pay made it; NULL for a payment that is not alive. x402_payment_settle, or a paid body that breaks off while
 * it is read, changes no text that was given out before: ask again for what is so afterwards.
 */
X402_API const char *x402_payment_amount(const x402_payment *payment);

/**
 * The asset as the offer names it: for a token, its contract's address. "" if no offer was chosen.
 */
X402_API const char *x402_payment_asset(const x402_payment *payment);

/**
 * The network, CAIP-2: "eip155:8453". "" if no offer was chosen.
 */
X402_API const char *x402_payment_network(const x402_payment *payment);

/**
 * Who was to be paid: an address of the network. "" if no offer was chosen.
 */
X402_API const char *x402_payment_payee(const x402_payment *payment);

/**
 * The transaction that settled the payment, from the server's receipt. "" until there is one.
 */
X402_API const char *x402_payment_transaction(const x402_payment *payment);

/**
 * Why nothing was paid: for each offer, the rule that refused it, or what the server said to the payment. "" if it
 * was paid.
 */
X402_API const char *x402_payment_refusal(const x402_payment *payment);

/**
 * All of it as one JSON object, the receipt included. Never a signature.
 */
X402_API const char *x402_payment_json(const x402_payment *payment);

/**
 * Where the money is: for a payment from x402_client_pay, X402_MONEY_UNKNOWN until it is settled.
 *
 * X402_MONEY_UNKNOWN for NULL and for a payment that is not alive, because that is the safe guess.
 */
X402_API x402_money x402_payment_money(const x402_payment *payment);

/**
 * The name of the request header that pays: "PAYMENT-SIGNATURE", or "X-PAYMENT" for a server of x402 version 1. Only
 * for a payment from x402_client_pay; NULL for a borrowed one and for one that is not alive. Valid until the payment is
 * freed.
 */
X402_API const char *x402_payment_header_name(const x402_payment *payment);

/**
 * The value of the request header that pays, otherwise as x402_payment_header_name.
 *
 * Whoever has it can take the money: send it to the origin that asked and to nobody else, and keep it out of logs.
 * HTTP clients that follow redirects often carry such a header along to another host: turn that off for the paid
 * request. The same value may be sent again if no answer came; it settles at most once.
 *
 * No other function gives it, and it is wiped from the library's memory when the payment is freed.
 */
X402_API const char *x402_payment_header_value(const x402_payment *payment);

/**
 * Tells what was answered to the paid request: reads the receipt. Once, with the answer you keep.
 *
 * X402_OK means that the answer was read; x402_payment_money says what it means: X402_MONEY_PAID if it has a receipt
 * that says so, else X402_MONEY_UNKNOWN, whatever its status: the server still holds what it needs to take the money.
 * x402_payment_transaction, x402_payment_refusal and x402_payment_json have the details.
 *
 * If no answer came, send the same header again, or free the payment without settling it.
 *
 * @param payment        one from x402_client_pay, not settled before
 * @param status         the answer's status; not an interim one (1xx)
 * @param header_names   the answer's headers, all of them or those that begin with PAYMENT and X-PAYMENT, in any case
 * @param header_values  their values, NUL-terminated, as they came
 * @param header_count   how many; both arrays may be NULL if 0
 *
 * X402_ERROR_ARGUMENT for a payment that is borrowed or settled already, and for a status of no final answer;
 * X402_ERROR_BUSY while another call settles it.
 */
X402_API x402_status x402_payment_settle(x402_payment *payment,
                                         uint16_t status,
                                         const char *const *header_names,
                                         const char *const *header_values,
                                         size_t header_count,
                                         x402_error **error);

/**
 * Frees a payment that x402_client_pay made; a borrowed one is left alone. NULL, or one freed before, is nothing.
 *
 * One that was not settled counts as spent: its header may have been sent, and can still be taken.
 */
X402_API void x402_payment_free(x402_payment *payment);

/**
 * Makes a queue of a client, which it keeps alive. Free it with x402_queue_free.
 */
X402_API x402_status x402_queue_new(x402_client *client, x402_queue **out, x402_error **error);

/**
 * Sends a request as x402_client_send would, without waiting; an event of kind X402_EVENT_SEND tells the outcome.
 *
 * The request is the queue's until that event: X402_ERROR_BUSY for every use but x402_request_cancel and
 * x402_request_free. It may be freed at once. Its callbacks run on a thread of the queue's, and what they use must stay
 * valid until the event, or until x402_queue_free returned.
 *
 * @param token  any number, to know the event by; free to be used again once that was taken
 *
 * Whatever is not X402_OK: nothing was submitted, and no event comes. X402_AGAIN if the queue is full: take events and
 * try again. X402_ERROR_BUSY if the request or the token is in use.
 */
X402_API x402_status x402_queue_send(x402_queue *queue,
                                     x402_request *request,
                                     uint64_t token,
                                     x402_error **error);

/**
 * Reads the next bytes of a response's body as x402_response_read would, without waiting; an event of kind
 * X402_EVENT_READ tells the outcome. One read of a response at a time; for the next bytes, submit another.
 *
 * The response may come from a queue or not. It is the queue's until the event: X402_ERROR_BUSY for every use but those
 * of its head and x402_response_free, which cancels the read.
 *
 * @param buffer  filled with up to `cap` bytes, at most 64 KiB of them. It is written to by the very call of
 *                x402_queue_next or x402_queue_wait that hands out the event, at no other time and by no other thread;
 *                it must stay until then, or until x402_queue_free returned.
 * @param token   as for x402_queue_send
 *
 * A completed read keeps what it read, at most 64 KiB, until its event is taken. A read occupies a thread of the queue
 * for as long as it waits for the server: queue_threads (256) answers that stall hold up everything else that the queue
 * was given, until one of them gets bytes, is cancelled, or ends by idle_timeout_ms. Give long streams a queue of their
 * own, or raise queue_threads.
 *
 * Whatever is not X402_OK: nothing was submitted, and no event comes. X402_AGAIN if the queue is full.
 */
X402_API x402_status x402_queue_read(x402_queue *queue,
                                     x402_response *response,
                                     uint8_t *buffer,
                                     size_t cap,
                                     uint64_t token,
                                     x402_error **error);

/**
 * A descriptor that is readable while an event waits, and not otherwise: for poll, epoll, asyncio, libuv, a Go runtime.
 *
 * Level-triggered; for edge-triggered loops too, if x402_queue_next is called until X402_AGAIN each time. Never read it,
 * write it or close it (a loop that cannot help reading does no harm if it then takes all events). It ends with the
 * queue: remove it from the loop before x402_queue_free. The same each time; -1 for a queue that is not alive, or was
 * made before fork().
 */
X402_API int32_t x402_queue_fd(const x402_queue *queue);

/**
 * Takes an event, if one waits. Events come in the order of completion, exactly one for each operation submitted.
 *
 * @param event  see x402_event; on X402_OK, its response and error are yours to free
 *
 * X402_AGAIN if none waits. X402_ERROR_ARGUMENT if `event` is NULL or its struct_size too small.
 */
X402_API x402_status x402_queue_next(x402_queue *queue,
                                     x402_event *event);

/**
 * Takes an event, waiting for one if need be: for programs without an event loop, or a thread of their own for this.
 *
 * @param timeout_ms  how long to wait, in milliseconds; 0 is x402_queue_next; X402_WAIT_FOREVER
 * @param event       as for x402_queue_next
 *
 * X402_AGAIN if none came in time. X402_ERROR_HANDLE if another thread frees the queue meanwhile.
 */
X402_API x402_status x402_queue_wait(x402_queue *queue,
                                     uint32_t timeout_ms,
                                     x402_event *event);

/**
 * Cancels an operation, from any thread, at any time. Its event still comes, exactly once and soon: with
 * X402_ERROR_CANCELLED, or with the outcome if that was quicker. A callback of yours that is running must return first.
 *
 * It stops this operation alone: the request may be sent again. (A response that x402_client_send gave is stopped
 * together with its request.) The body of an answer ends with its cancelled read.
 *
 * X402_ERROR_ARGUMENT if no operation has that token, because its event was taken already.
 */
X402_API x402_status x402_queue_cancel(x402_queue *queue,
                                       uint64_t token);

/**
 * Frees a queue: cancels what is under way, waits until it has ended, and drops every event that was not taken, with
 * its response or error. Afterwards no callback runs for it any more and no buffer is written to. NULL is nothing.
 *
 * A callback that does not return holds this up for at most 10 seconds, and is then left to itself; freed from a
 * callback of its own, the queue does not wait for that one. What was paid stays paid: the budgets know, and a request
 * with a purchase_key can be sent again. In a child after fork() the parent's queue is let go, and the child's copies of
 * its descriptors are closed, nothing else.
 */
X402_API void x402_queue_free(x402_queue *queue);

/**
 * Frees a text that x402_client_quote_json or x402_ledger_…_json gave. NULL, or any other pointer, is nothing.
 */
X402_API void x402_string_free(char *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* X402_H */
