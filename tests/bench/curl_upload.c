/* curl_upload URL BYTES: libcurl sends a body of this length once, from a read callback; nothing is paid. */
#include "measure.h"
#include "stream.h"
#include <curl/curl.h>

static size_t read_body(char *buffer, size_t size, size_t items, void *userdata)
{
    return stream_read(userdata, buffer, size * items);
}

static size_t ignore(char *data, size_t size, size_t items, void *userdata)
{
    (void)data, (void)userdata;
    return size * items;
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: curl_upload URL BYTES");
    struct stream stream = { .total = number(argv[2]) };
    long status = 0;
    stream_prepare();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *curl = curl_easy_init();
    struct measure begun = measure_begin();
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)stream.total);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(curl, CURLOPT_READDATA, &stream);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) die("libcurl: %s", curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 || stream.given != stream.total) die("status %ld after %" PRIu64 " bytes", status, stream.given);
    measure_end(begun, 1, stream.given);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return 0;
}
