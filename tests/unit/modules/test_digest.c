/* SPDX-License-Identifier: MIT */
/*
 * The module `digest`, against the vectors of FIPS 180-4 and against libcrypto called directly.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/module_host.h"
#include "tests/unit/cmocka_includes.h"

static const char empty_256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char abc_256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char abc_512[] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

static struct module_host *host;
static char directory[] = "/tmp/ganger-digest-XXXXXX";
static char path[64];

static void write_file(const char *data, size_t size_bytes)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size_bytes, file), size_bytes);
        assert_int_equal(fclose(file), 0);
}

static void assert_digest(struct module_run *run, const char *expected)
{
        if (run->status != 0)
                print_error("failed: %d %s\n", run->status, run->message);
        assert_true(run->has_result);
        assert_int_equal(run->result.data.type, MSGPACK_OBJECT_STR);
        assert_int_equal(run->result.data.via.str.size, strlen(expected));
        assert_memory_equal(run->result.data.via.str.ptr, expected, strlen(expected));
        module_run_deinit(run);
}

static void assert_failure(struct module_run *run, const char *part)
{
        assert_int_equal(run->status, 1);
        if (!strstr(run->message, part))
                fail_msg("\"%s\" does not say \"%s\"", run->message, part);
        module_run_deinit(run);
}

static void test_bytes(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "sha256", "y", "", (size_t)0);
        assert_digest(&run, empty_256);
        module_host_run(host, &run, "sha256", "y", "abc", (size_t)3);
        assert_digest(&run, abc_256);
        module_host_run(host, &run, "sha512", "y", "abc", (size_t)3);
        assert_digest(&run, abc_512);
}

static void test_file(void **state)
{
        struct module_run run;

        write_file("abc", 3);
        module_host_run(host, &run, "sha256", "s", path);
        assert_digest(&run, abc_256);
        module_host_run(host, &run, "sha512", "s", path);
        assert_digest(&run, abc_512);
        write_file("", 0);
        module_host_run(host, &run, "sha256", "s", path);
        assert_digest(&run, empty_256);
}

static void test_many_blocks(void **state)
{
        enum { SIZE = 3 * 256 * 1024 + 7 };
        unsigned char expected[EVP_MAX_MD_SIZE];
        char hex[2 * 32 + 1], *data = malloc(SIZE);
        struct module_run run;

        for (size_t i = 0; i < SIZE; i++)
                data[i] = (char)(i * 31 >> 3);
        assert_int_equal(EVP_Digest(data, SIZE, expected, NULL, EVP_sha256(), NULL), 1);
        for (int i = 0; i < 32; i++)
                snprintf(hex + 2 * i, 3, "%02x", expected[i]);
        write_file(data, SIZE);
        module_host_run(host, &run, "sha256", "s", path);
        assert_digest(&run, hex);
        module_host_run(host, &run, "sha256", "y", data, (size_t)SIZE);
        assert_digest(&run, hex);
        free(data);
}

static void test_descriptor_is_read_from_where_it_stands(void **state)
{
        struct module_run run;

        write_file("xxabc", 5);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
        for (int attempt = 1; attempt <= 2; attempt++) { /* a second attempt gets the same descriptor */
                module_host_run(host, &run, "sha256", "h", fd);
                assert_digest(&run, abc_256);
        }
        close(fd);
}

static void test_pipe(void **state)
{
        struct module_run run;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(write(fds[1], "abc", 3), 3);
        close(fds[1]);
        module_host_run(host, &run, "sha256", "h", fds[0]);
        assert_digest(&run, abc_256);
        close(fds[0]);
}

static void test_cancelled(void **state)
{
        struct module_run run;
        int fds[2];

        write_file("abc", 3);
        module_host_cancel_after(host, 1);
        module_host_run(host, &run, "sha256", "s", path);
        assert_int_equal(run.status, -ECANCELED);
        module_run_deinit(&run);

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0); /* nothing ever comes */
        module_host_cancel_after(host, 3);
        module_host_run(host, &run, "sha256", "h", fds[0]);
        assert_int_equal(run.status, -ECANCELED);
        module_run_deinit(&run);
        close(fds[0]);
        close(fds[1]);
}

static void test_what_cannot_be_read(void **state)
{
        struct module_run run;
        char missing[96];

        snprintf(missing, sizeof(missing), "%s/missing", directory);
        module_host_run(host, &run, "sha256", "s", missing);
        assert_non_null(strstr(run.message, missing));
        assert_failure(&run, "No such file or directory; if the caller sees it");
        module_host_run(host, &run, "sha256", "s", "missing-and-relative");
        assert_failure(
                &run,
                "\"missing-and-relative\": No such file or directory; a worker looks for a relative path "
                "from /");
        module_host_run(host, &run, "sha256", "s", directory);
        assert_failure(&run, "is a directory");
        module_host_run(host, &run, "sha256", "s", "");
        assert_failure(&run, "is empty");
        module_host_run(host, &run, "sha256", "s", "/x\x01\xff\"\xc3\xa9");
        assert_failure(&run, "\"/x\\x01\\xff\\x22\xc3\xa9\"");
        int fd = open(path, O_WRONLY | O_CLOEXEC | O_CREAT, 0600);
        module_host_run(host, &run, "sha256", "h", fd);
        assert_failure(&run, "cannot read the descriptor: Bad file descriptor");
        close(fd);
        fd = open(directory, O_RDONLY | O_CLOEXEC);
        module_host_run(host, &run, "sha256", "h", fd);
        assert_failure(&run, "the descriptor is a directory");
        close(fd);
        if (geteuid() != 0) { /* root may read everything */
                write_file("abc", 3);
                assert_int_equal(chmod(path, 0), 0);
                module_host_run(host, &run, "sha256", "s", path);
                assert_failure(&run, "Permission denied; workers run as uid");
                assert_int_equal(chmod(path, 0600), 0);
        }
}

static void test_long_path_is_cut_in_the_message(void **state)
{
        struct module_run run;
        char name[3000];

        memset(name, 'a', sizeof(name) - 1);
        name[0] = '/';
        name[sizeof(name) - 1] = '\0';
        module_host_run(host, &run, "sha256", "s", name);
        assert_failure(&run, "aaa...\": File name too long");
}

static void test_wrong_arguments(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "sha256", "");
        assert_failure(&run, "there is no input");
        module_host_run(host, &run, "sha256", "i", INT64_C(7));
        assert_failure(&run, "the input is an integer");
        module_host_run(host, &run, "sha256", "n");
        assert_failure(&run, "the input is nil");
        module_host_run(host, &run, "sha256", "[s]", path);
        assert_failure(&run, "the input is an array");
        module_host_run(host, &run, "sha256", "ss", path, path);
        assert_failure(&run, "one argument too many: a string");
}

static int set_up(void **state)
{
        host = module_host_open(MODULE_PATH);
        if (!mkdtemp(directory))
                return -1;
        snprintf(path, sizeof(path), "%s/data", directory);
        return 0;
}

static int tear_down(void **state)
{
        unlink(path);
        host = module_host_close(host);
        return rmdir(directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_many_blocks),
                cmocka_unit_test(test_descriptor_is_read_from_where_it_stands),
                cmocka_unit_test(test_pipe),
                cmocka_unit_test(test_cancelled),
                cmocka_unit_test(test_what_cannot_be_read),
                cmocka_unit_test(test_long_path_is_cut_in_the_message),
                cmocka_unit_test(test_wrong_arguments),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
