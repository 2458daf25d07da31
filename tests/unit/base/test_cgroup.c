/* test_cgroup.c - what control groups say, from files of the test's own: both versions, groups in
 * groups, and whatever a forged or cut file holds.
 */
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "support/test.h"

/* The folder of a test, with a file `self` (/proc/self/cgroup) and one `fs` (/sys/fs/cgroup). */
static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/warren-cgroup-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_it(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(folder, remove_it, 8, FTW_DEPTH | FTW_PHYS);
}

/* Folders above it are made, too. */
static void put(const char *name, const char *content)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct cgroup_usage usage_of(void)
{
    char self[128];
    char mount[128];
    struct cgroup cgroup;
    struct cgroup_usage usage;

    snprintf(self, sizeof self, "%s/self", folder);
    snprintf(mount, sizeof mount, "%s/fs", folder);
    cgroup_find(&cgroup, self, mount);
    cgroup_read(&cgroup, &usage);
    return usage;
}

static void expect(int64_t cpus_milli, int64_t cpu_us, int64_t memory_max, int64_t memory_used)
{
    struct cgroup_usage usage = usage_of();

    assert_int_equal(usage.cpus_milli, cpus_milli);
    assert_int_equal(usage.cpu_us, cpu_us);
    assert_int_equal(usage.memory_max, memory_max);
    assert_int_equal(usage.memory_used, memory_used);
}

/* ---- version 2 ---- */

/* The least limit of all groups up to the root, each with what its own group has used. */
static void the_least_limit_counts(void **state)
{
    (void)state;
    put("self", "0::/a/b\n");
    put("fs/a/b/cpu.max", "max 100000\n");
    put("fs/a/b/memory.max", "1000000\n");
    put("fs/a/b/memory.current", "300000\n");
    put("fs/a/cpu.max", "150000 100000\n");
    put("fs/a/cpu.stat", "usage_usec 7000\nuser_usec 1\n");
    put("fs/a/memory.max", "2000000\n");
    put("fs/cpu.stat", "usage_usec 9000\n");
    expect(1500, 7000, 1000000, 300000);
    put("fs/a/memory.max", "800000\n");
    put("fs/a/memory.current", "700000\n");
    put("fs/a/memory.stat", "anon 1\ninactive_file 150000\nactive_file 5\n");
    put("fs/a/b/cpu.max", "50000 100000\n");
    put("fs/a/b/cpu.stat", "nr_periods 3\nusage_usec 600\n");
    expect(500, 600, 800000, 550000);
}

/* In a container the group is the root of what is mounted, whatever its path outside. */
static void a_container_is_its_root(void **state)
{
    static const char *const paths[] = {"0::/\n", "0::/../../elsewhere\n",
                                        "0::/not/mounted/here\n"};

    (void)state;
    put("fs/cpu.max", "20000 10000\n");
    put("fs/cpu.stat", "usage_usec 5\n");
    put("fs/memory.max", "max\n");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        put("self", paths[i]);
        expect(2000, 5, 0, 0);
    }
}

/* ---- version 1, alone and beside version 2 ---- */

static void version_1_has_a_place_for_each(void **state)
{
    (void)state;
    put("self", "12:name=systemd:/x\n4:cpu,cpuacct:/jobs\n3:cpuset:/\n2:memory:/jobs/one\n0::/x\n");
    put("fs/cpu/jobs/cpu.cfs_quota_us", "250000\n");
    put("fs/cpu/jobs/cpu.cfs_period_us", "100000\n");
    put("fs/cpuacct/jobs/cpuacct.usage", "8000000\n");
    put("fs/memory/jobs/one/memory.limit_in_bytes", "9223372036854771712\n");
    put("fs/memory/jobs/memory.limit_in_bytes", "4096000\n");
    put("fs/memory/jobs/memory.usage_in_bytes", "4000000\n");
    put("fs/memory/jobs/memory.stat", "inactive_file 1\ntotal_inactive_file 1000000\n");
    expect(2500, 8000, 4096000, 3000000);
    put("fs/cpu/jobs/cpu.cfs_quota_us", "-1\n");
    put("fs/memory/jobs/memory.limit_in_bytes", "-1\n");
    expect(0, 0, 0, 0);
}

/* ---- what nobody promised ---- */

static void what_is_not_understood_is_no_limit(void **state)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "max",
                                        "max max",
                                        "-5 100000",
                                        "0 0",
                                        "0 100000",
                                        "100000",
                                        "100000 ",
                                        "100000 0",
                                        "100000 x",
                                        "1e5 100000",
                                        "99999999999999999999 100000",
                                        "100000 99999999999999999999",
                                        "9223372036854775807 1",
                                        " 100000 100000",
                                        "100000\t100000",
                                        "\x01\x02\xff"};

    (void)state;
    put("self", "0::/\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put("fs/cpu.max", texts[i]);
        put("fs/memory.max", texts[i]);
        if (usage_of().cpus_milli != 0)
            fail_msg("'%s' is %ld", texts[i], (long)usage_of().cpus_milli);
        assert_true(usage_of().memory_max == 0 || strncmp(texts[i], "1000", 4) == 0);
    }
}

static void without_files_there_is_no_limit(void **state)
{
    static const char *const lines[] = {"",        "\n",       ":",      "::",
                                        "0:",      "0::",      "0::x\n", "nothing here",
                                        "1:cpu\n", "1:cpu:\n", ":::::",  "0::/a//b/\n"};
    char lengthy[3000];

    (void)state;
    expect(0, 0, 0, 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        put("self", lines[i]);
        expect(0, 0, 0, 0);
    }
    memset(lengthy, 'a', sizeof lengthy);
    memcpy(lengthy, "0::/", 4);
    lengthy[sizeof lengthy - 1] = '\0';
    put("self", lengthy);
    expect(0, 0, 0, 0);
    memset(lengthy + 4, '/', 400);
    lengthy[200] = '\0';
    put("self", lengthy);
    expect(0, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_limit_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_container_is_its_root, setup, teardown),
        cmocka_unit_test_setup_teardown(version_1_has_a_place_for_each, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_understood_is_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(without_files_there_is_no_limit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
