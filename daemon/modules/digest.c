/* SPDX-License-Identifier: MIT */
/*
 * The module `digest`: digest.sha256 and digest.sha512 [path, bytes or descriptor] -> lowercase hexadecimal
 * string, by libcrypto. A string is always a path, bytes are digested themselves, a descriptor is read to its
 * end.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "config.h"
#include "daemon/modules/input.h"
#include "daemon/modules/options.h"
#include "daemon/worker/ganger_module.h"

static int digest_input(struct ganger_task *task, struct input *input, EVP_MD_CTX *context)
{
        const char *data;
        size_t size_bytes;

        do {
                int r = input_next(task, input, &data, &size_bytes);
                if (r != 0)
                        return r;
                if (!EVP_DigestUpdate(context, data, size_bytes))
                        return ganger_fail(task, "libcrypto could not digest %s", input->name);
        } while (size_bytes > 0);
        return 0;
}

static int put_hex(struct ganger_task *task, EVP_MD_CTX *context)
{
        static const char digits[] = "0123456789abcdef";
        unsigned char digest[EVP_MAX_MD_SIZE];
        char hex[2 * EVP_MAX_MD_SIZE];
        unsigned n = 0;

        if (!EVP_DigestFinal_ex(context, digest, &n))
                return ganger_fail(task, "libcrypto could not finish the digest");
        for (unsigned i = 0; i < n; i++) {
                hex[2 * i] = digits[digest[i] >> 4];
                hex[2 * i + 1] = digits[digest[i] & 15];
        }
        return ganger_put_str(task, hex, 2 * (size_t)n);
}

static int digest(struct ganger_task *task, const EVP_MD *algorithm)
{
        struct ganger_value value;
        struct input input;

        int r = input_argument(task, &value);
        if (r == 0)
                r = options_none(task);
        if (r != 0)
                return r;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        if (!context)
                return -ENOMEM;
        r = input_open(task, &value, &input);
        if (r == 0 && !EVP_DigestInit_ex(context, algorithm, NULL))
                r = ganger_fail(task, "libcrypto does not offer this digest here");
        if (r == 0)
                r = digest_input(task, &input, context);
        if (r == 0)
                r = put_hex(task, context);
        input_close(&input);
        EVP_MD_CTX_free(context);
        return r;
}

static int sha256(struct ganger_task *task)
{
        return digest(task, EVP_sha256());
}

static int sha512(struct ganger_task *task)
{
        return digest(task, EVP_sha512());
}

/* libcrypto reads its configuration and builds its tables at its first use: here, so that no worker has to.
 */
static int load(void **ret_state, const struct ganger_setting *settings, size_t n_settings, char *error,
                size_t error_size_bytes)
{
        unsigned char out[EVP_MAX_MD_SIZE];

        *ret_state = NULL;
        if (n_settings > 0) {
                snprintf(error, error_size_bytes, "the module digest has no settings, but %s is set",
                         settings[0].key);
                return -EINVAL;
        }
        if (!EVP_Digest("", 0, out, NULL, EVP_sha256(), NULL) ||
            !EVP_Digest("", 0, out, NULL, EVP_sha512(), NULL)) {
                snprintf(error, error_size_bytes, "libcrypto offers no SHA-2 here");
                return -ENOTSUP;
        }
        return 0;
}

static const struct ganger_function functions[] = {
        {.name = "sha256", .run = sha256, .summary = "[path, bytes or descriptor] -> SHA-256 in hexadecimal"},
        {.name = "sha512", .run = sha512, .summary = "[path, bytes or descriptor] -> SHA-512 in hexadecimal"},
};

GANGER_MODULE(.name = "digest", .version = GANGER_VERSION, .functions = functions,
              .n_functions = sizeof(functions) / sizeof(functions[0]), .load = load);
