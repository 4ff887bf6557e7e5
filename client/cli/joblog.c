/* SPDX-License-Identifier: MIT */
/* The job log: opened, and written. What was written before is read in joblog_read.c. */
#include "client/cli/joblog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/cli.h"

static int cannot(const struct joblog *log, const char *what)
{
        cli_say("%s: %s%s", log->path, what, strerror(errno));
        return EXIT_GANGER;
}

/* Two that write to one log would do each other's items again, and cut each other's lines. */
static int lock(struct joblog *log)
{
        struct stat st;

        if (fstat(log->fd, &st) < 0)
                return cannot(log, "");
        log->is_file = S_ISREG(st.st_mode);
        if (!log->is_file || flock(log->fd, LOCK_EX | LOCK_NB) == 0)
                return EXIT_DONE;
        if (errno != EWOULDBLOCK)
                return cannot(log, "cannot lock it: ");
        cli_say("%s: another `ganger map` writes this log; wait for its end, or name another file",
                log->path);
        return EXIT_GANGER;
}

/* The rest of what could not be written whole is cut, so that the log stays one of whole lines. */
static int append(struct joblog *log, const void *data, size_t size_bytes)
{
        size_t done_bytes = 0;

        while (done_bytes < size_bytes) {
                ssize_t n = write(log->fd, (const char *)data + done_bytes, size_bytes - done_bytes);
                if (n > 0)
                        done_bytes += (size_t)n;
                else if (n < 0 && errno != EINTR)
                        break;
        }
        if (done_bytes == size_bytes)
                return 0;
        int error = errno;
        off_t end = lseek(log->fd, 0, SEEK_END);
        if (log->is_file && end >= (off_t)done_bytes && ftruncate(log->fd, end - (off_t)done_bytes) < 0)
                cannot(log, "its last line is not whole: "); /* who resumes cuts it */
        errno = error;
        return -error;
}

static int resume(struct joblog *log, enum joblog_mode mode)
{
        if (!log->is_file) {
                cli_say("%s: is no regular file, so that there is nothing to resume", log->path);
                return EXIT_USAGE;
        }
        int fd = dup(log->fd);
        log->reader = fd < 0 ? NULL : fdopen(fd, "r");
        if (!log->reader)
                return cannot(log, "");
        int status = joblog_read(log, mode);
        if (status == EXIT_DONE && ftruncate(log->fd, log->found_bytes) < 0)
                return cannot(log, "cannot cut its last line, which is not whole: ");
        return status;
}

int joblog_open(struct joblog *log, const char *path, enum joblog_mode mode)
{
        int flags = mode == JOBLOG_NEW ? O_WRONLY : O_RDWR;

        *log = (struct joblog){.path = path};
        log->fd = open(path, flags | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
        if (log->fd < 0)
                return cannot(log, "");
        int status = lock(log);
        if (status == EXIT_DONE && mode != JOBLOG_NEW)
                status = resume(log, mode);
        else if (status == EXIT_DONE && log->is_file && ftruncate(log->fd, 0) < 0)
                status = cannot(log, "");
        if (status == EXIT_DONE && log->found_bytes == 0 &&
            append(log, JOBLOG_HEADER, strlen(JOBLOG_HEADER)) < 0)
                status = cannot(log, "");
        return status;
}

void joblog_deinit(struct joblog *log)
{
        if (log->reader)
                fclose(log->reader);
        if (log->path && log->fd >= 0)
                close(log->fd);
        seqs_deinit(&log->seqs);
        buffer_deinit(&log->line);
}

int joblog_write(struct joblog *log, const struct joblog_line *line)
{
        char fields[256];
        int n = snprintf(fields, sizeof fields, "%" PRIu64 "\t:\t%.3f\t%10.3f\t0\t%" PRIu64 "\t%d\t%d\t",
                         line->seq, line->started, line->ran, line->received_bytes, line->exit_value,
                         line->signal);
        int r = buffer_append(&log->line, fields, (size_t)n);

        if (r == 0)
                r = buffer_append(&log->line, line->command, line->command_bytes);
        if (r == 0)
                r = buffer_append(&log->line, "\n", 1);
        if (r == 0)
                r = append(log, buffer_at(&log->line), buffer_size(&log->line));
        buffer_truncate(&log->line, 0);
        if (r < 0)
                cli_say("%s: %s: the map ends here; item %" PRIu64 " has run, but is not in the log",
                        log->path, strerror(-r), line->seq - 1);
        return r;
}
