/* curl_get_post get|post URL CALLS [nosignal]: free requests with one libcurl handle, used again and again. */
#include "measure.h"
#include <curl/curl.h>

#define POST_BYTES 1024

static size_t count(char *data, size_t size, size_t items, void *userdata)
{
    (void)data;
    *(uint64_t *)userdata += size * items;
    return size * items;
}

static void call(CURL *curl)
{
    long status = 0;
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) die("libcurl: %s", curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) die("status %ld", status);
}

int main(int argc, char **argv)
{
    static char body[POST_BYTES];
    if (argc < 4) die("usage: curl_get_post get|post URL CALLS [nosignal]");
    uint64_t calls = number(argv[3]), bytes = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, argv[2]);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &bytes);
    if (argc > 4) curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (strcmp(argv[1], "post") == 0) {
        memset(body, 'x', sizeof body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)sizeof body);
    }
    for (int i = 0; i < WARMUP_CALLS; i++) call(curl);
    bytes = 0;
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) call(curl);
    measure_end(begun, calls, bytes);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return 0;
}
