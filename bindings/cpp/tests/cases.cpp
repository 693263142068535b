// cases.cpp: the driver that runs tests/cases/NAME.json through x402.hpp; the protocol is in tests/cases/README.md.
//
// Reads one case from its input, writes what every request came to on its output. It judges nothing. Answers are read
// through the stream.
#include <x402.hpp>

#include "sha256.h"
extern "C" {
#include "json.h"
}

#include <iostream>
#include <iterator>

namespace {

constexpr std::size_t text_bytes_max = 64 * 1024;

struct JsonFree {
    void operator()(json *value) const { json_free(value); }
};

std::string text_of(const json *value) { return {value->text, value->len}; }

template <class Function> void for_each_member(const json *list, Function function)
{
    for (const json *entry = list ? list->first : nullptr; entry; entry = entry->next)
        function(entry);
}

bool is_number(const json *value) { return value && value->kind == JSON_NUMBER; }

// ---- content ----

std::string from_base64(const char *text)
{
    static const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (std::size_t digit; *text && (digit = digits.find(*text)) != digits.npos; text++) {
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        if ((count += 6) >= 8)
            out += static_cast<char>(bits >> (count -= 8) & 0xff);
    }
    return out;
}

std::string content_of(const json *value)
{
    if (const json *text = json_get(value, "text"))
        return text_of(text);
    if (const char *base64 = json_get_text(value, "base64"))
        return from_base64(base64);
    std::string pattern(static_cast<std::size_t>(json_get_number(value, "pattern", 0)), '\0');
    for (std::size_t i = 0; i < pattern.size(); i++)
        pattern[i] = static_cast<char>(i % 251);
    return pattern;
}

// ---- a request ----

struct Reader {
    std::string body;
    std::size_t at = 0, pulled = 0, chunk = 0;
    std::optional<std::size_t> fail_at;
    std::int32_t fail_with = 1;
    bool rewind_fails = false;
    int rewinds = 0;

    x402::Given give(x402::Buffer to)
    {
        std::size_t want = chunk != 0 ? std::min(chunk, to.size()) : to.size();
        if (fail_at && at >= *fail_at)
            return x402::Stop{fail_with};
        if (fail_at)
            want = std::min(want, *fail_at - at);
        want = std::min(want, body.size() - at);
        std::copy_n(body.data() + at, want, to.chars());
        at += want;
        pulled += want;
        return want;
    }
    std::int32_t give_again()
    {
        rewinds++;
        at = 0;
        return rewind_fails ? fail_with : 0;
    }
};

void set_body(x402::Request &request, const json *body, Reader &reader)
{
    const json *from = json_get(body, "reader");
    if (const char *file = json_get_text(body, "file")) {
        request.body_file(file);
        return;
    }
    if (const json *bytes = json_get(body, "bytes")) {
        request.body(content_of(bytes));
        return;
    }
    reader.body = content_of(json_get(from, "content"));
    reader.chunk = static_cast<std::size_t>(json_get_number(from, "chunk", 0));
    reader.rewind_fails = json_is_true(json_get(from, "rewind_fails")) != 0;
    reader.fail_with = static_cast<std::int32_t>(json_get_number(from, "fail_with", 1));
    if (is_number(json_get(from, "fail_at")))
        reader.fail_at = static_cast<std::size_t>(json_get_number(from, "fail_at", 0));
    const json *declare = json_get(from, "declare");
    std::uint64_t length = declare ? x402::length_unknown : reader.body.size();
    if (is_number(declare))
        length = static_cast<std::uint64_t>(declare->number);
    auto read = [&reader](x402::Buffer to) { return reader.give(to); };
    if (json_is_true(json_get(from, "rewind")))
        request.body(read, [&reader] { return reader.give_again(); }, length);
    else
        request.body(read, length);
}

x402::Request make_request(const json *from, Reader &reader)
{
    const char *method = json_get_text(from, "method");
    x402::Request request(method ? method : "GET", json_get_text(from, "url"));
    for_each_member(json_get(from, "headers"), [&](const json *entry) {
        request.header(text_of(entry->first), text_of(entry->first->next));
    });
    for_each_member(json_get(from, "settings"), [&](const json *entry) { request.set(entry->name, text_of(entry)); });
    if (const json *body = json_get(from, "body"); body && body->kind == JSON_OBJECT)
        set_body(request, body, reader);
    if (const json *stop = json_get(from, "stop_progress_at"); is_number(stop)) {
        const auto stop_at = static_cast<std::uint64_t>(stop->number);
        const auto stop_with = static_cast<std::int32_t>(json_get_number(from, "stop_with", 1));
        request.progress([=](const x402::Progress &now) { return now.sent >= stop_at ? stop_with : 0; });
    }
    return request;
}

// ---- results ----

void put_text(std::string_view text) { json_write_text(stdout, text.data(), text.size()); }

void put(const char *member, std::string_view text)
{
    std::printf("\"%s\": ", member);
    put_text(text);
}

void put_error(const char *member, const x402::Error &error)
{
    std::printf("\"%s\": {", member);
    put("status", error.status_name());
    std::printf(", ");
    put("message", error.what());
    std::printf(", \"money\": \"%s\", \"retry\": \"%s\", ", name(error.money()), name(error.retry()));
    if (error.callback_value() != 0)
        std::printf("\"callback_value\": %d}", static_cast<int>(error.callback_value()));
    else
        std::printf("\"callback_value\": null}");
}

void put_payment(const std::optional<x402::PaymentView> &payment)
{
    if (!payment) {
        std::printf("\"payment\": null");
        return;
    }
    std::printf("\"payment\": {");
    put("amount", payment->amount()), std::printf(", ");
    put("asset", payment->asset()), std::printf(", ");
    put("network", payment->network()), std::printf(", ");
    put("payee", payment->payee()), std::printf(", ");
    put("transaction", payment->transaction()), std::printf(", ");
    put("refusal", payment->refusal());
    std::printf(", \"json\": %s}", payment->json().c_str());
}

void put_headers(const x402::Response &response)
{
    const char *separator = "";
    std::printf("\"headers\": [");
    for (const auto &[name, value] : response.headers()) {
        std::printf("%s[", separator);
        put_text(name), std::printf(", ");
        if (json_is_utf8(value.data(), value.size()))
            put_text(value);
        else
            std::printf("null");
        std::printf("]");
        separator = ", ";
    }
    std::printf("], ");
}

/// Through the stream, so that every case goes through it.
void put_body(x402::Response &response)
{
    sha256 hash;
    char hex[65], block[4096];
    std::string text;
    std::uint64_t length = 0;
    x402::BodyStream stream = response.stream();
    stream.exceptions(std::ios_base::goodbit);
    sha256_start(&hash);
    while (stream.read(block, sizeof block), stream.gcount() > 0) {
        const auto got = static_cast<std::size_t>(stream.gcount());
        sha256_add(&hash, reinterpret_cast<const std::uint8_t *>(block), got);
        length += got;
        if (length <= text_bytes_max)
            text.append(block, got);
    }
    sha256_finish(&hash, hex);
    std::printf("\"body\": {\"length\": %llu, \"sha256\": \"%s\", \"text\": ", static_cast<unsigned long long>(length), hex);
    if (length <= text_bytes_max && json_is_utf8(text.data(), text.size()))
        put_text(text);
    else
        std::printf("null");
    std::printf("}, ");
    if (stream.bad() != stream.error().has_value())
        std::abort(); // the stream and its error disagree
    if (stream.error())
        put_error("body_error", *stream.error());
    else
        std::printf("\"body_error\": null");
    std::printf(", ");
}

void run_request(const x402::Client &client, const json *from)
{
    Reader reader;
    const char *call = json_get_text(from, "call");
    try {
        x402::Request request = make_request(from, reader);
        if (call && std::string_view(call) == "quote") {
            std::printf("{\"outcome\": \"quote\", \"quote\": %s", client.quote_json(request).c_str());
        } else {
            x402::Response response = client.send(request);
            std::printf("{\"outcome\": \"response\", \"status\": %u, ", static_cast<unsigned>(response.status()));
            put("url", response.url()), std::printf(", ");
            put_headers(response);
            put_body(response);
            std::printf("\"money\": \"%s\", ", name(response.money()));
            put_payment(response.payment());
        }
    } catch (const x402::Error &error) {
        std::printf("{\"outcome\": \"error\", ");
        put_error("error", error);
        std::printf(", \"money\": \"%s\", ", name(error.money()));
        put_payment(error.payment());
    }
    std::printf(", \"reader\": {\"pulled\": %zu, \"rewinds\": %d}}", reader.pulled, reader.rewinds);
}

// ---- the client ----

x402::Policy make_policy(const json *rules)
{
    x402::Policy policy;
    for_each_member(json_get(rules, "max_per_payment"), [&](const json *entry) { policy.max_per_payment(text_of(entry)); });
    for_each_member(json_get(rules, "budget"), [&](const json *entry) {
        const json *scope = entry->first, *window_s = scope->next, *amount = window_s->next;
        policy.budget(text_of(scope), static_cast<std::uint64_t>(window_s->number), text_of(amount));
    });
    for_each_member(json_get(rules, "allow"),
                    [&](const json *entry) { policy.allow(text_of(entry->first), text_of(entry->first->next)); });
    for_each_member(json_get(rules, "prefer"),
                    [&](const json *entry) { policy.prefer(text_of(entry->first), text_of(entry->first->next)); });
    if (const json *approve = json_get(rules, "approve"))
        policy.approve([answer = static_cast<int>(approve->number)](std::string_view) { return answer; });
    return policy;
}

x402::Client make_client(const json *from)
{
    x402::Wallet wallet;
    x402::Config config;
    for_each_member(json_get(from, "keys"), [&](const json *entry) { wallet.add_evm_key(text_of(entry)); });
    for_each_member(json_get(from, "solana_keys"), [&](const json *entry) { wallet.add_solana_key(text_of(entry)); });
    config.wallet(wallet);
    if (const json *rules = json_get(from, "policy"))
        config.policy(make_policy(rules));
    for_each_member(json_get(from, "settings"), [&](const json *entry) { config.set(entry->name, text_of(entry)); });
    return x402::Client(config);
}

void run_case(const json *scenario)
{
    const json *requests = json_get(scenario, "requests");
    std::printf("{\"results\": [");
    try {
        const x402::Client client = make_client(json_get(scenario, "client"));
        for_each_member(requests, [&](const json *request) {
            run_request(client, request);
            std::printf("%s\n", request->next ? "," : "");
        });
        std::printf("]");
    } catch (const x402::Error &error) {
        std::printf("], ");
        put_error("setup_error", error);
    }
}

} // namespace

int main()
{
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    const std::unique_ptr<json, JsonFree> scenario(json_parse(text.data(), text.size()));
    if (!json_get(scenario.get(), "requests"))
        return std::fprintf(stderr, "the input is no case\n"), 2;
    run_case(scenario.get());
    std::printf(", \"live_handles\": %llu}\n", static_cast<unsigned long long>(x402::live_handles()));
    return 0;
}
