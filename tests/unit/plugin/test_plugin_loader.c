/* test_plugin_loader.c - files that are plugins, and files that are not: each a clear error. */
#include <elf.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/instance.h"
#include "plugin/loader.h"
#include "support/test.h"

/* A file that cannot be loaded: the error begins with its name and says @why. */
static void refused(const char *path, const char *why)
{
    struct warren_error error = {WARREN_OK, ""};
    struct plugin *plugin = NULL;

    assert_int_equal(plugin_load(path, &plugin, &error), WARREN_EPLUGIN);
    assert_null(plugin);
    assert_int_equal(error.status, WARREN_EPLUGIN);
    if (strncmp(error.text, path, strlen(path)) != 0 || !strstr(error.text, why))
        fail_msg("\"%s\" does not say \"%s: ... %s\"", error.text, path, why);
}

static struct plugin *load_good(void)
{
    struct warren_error error = {WARREN_OK, ""};
    struct plugin *plugin = NULL;

    if (plugin_load(PLUGIN_FIXTURES "/good.so", &plugin, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    return plugin;
}

/* A good plugin: all of its tables can be read. */
static void a_plugin_is_loaded(void **state)
{
    struct plugin *plugin = load_good();

    (void)state;
    assert_string_equal(plugin->name, "payments");
    assert_string_equal(plugin->version, "1.2.0");
    assert_int_equal(plugin->handler_count, 3);
    assert_string_equal(plugin->handlers[0].name, "charge");
    assert_string_equal(plugin->handlers[0].options[1].name, "mode");
    assert_null(plugin->handlers[0].options[2].name);
    assert_null(plugin->handlers[2].options);
    assert_null(plugin->handlers[3].name);
    plugin_free(plugin);
}

/* A name without a slash is a file here, not one somewhere in the library folders. */
static void a_bare_name_is_a_file_of_this_folder(void **state)
{
    struct plugin *plugin = NULL;
    char *before = getcwd(NULL, 0);

    (void)state;
    assert_int_equal(chdir(PLUGIN_FIXTURES), 0);
    assert_int_equal(plugin_load("good.so", &plugin, NULL), WARREN_OK);
    plugin_free(plugin);
    refused("libc.so.6", "No such file or directory");
    assert_int_equal(chdir(before), 0);
    free(before);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    refused(PLUGIN_FIXTURES "/absent.so", "No such file or directory");
}

/* A text file, an empty one, and a folder are no shared objects. */
static void what_is_no_shared_object_is_refused(void **state)
{
    char path[] = "/tmp/warren-plugin-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    refused(path, "not a shared object");
    assert_int_equal(write(fd, "#!/bin/sh\necho no plugin at all\n", 32), 32);
    refused(path, "not a shared object");
    close(fd);
    unlink(path);
    refused(PLUGIN_FIXTURES, "not a shared object");
}

/* An ELF header with nothing behind it fails in the dynamic linker, which says why. */
static void a_broken_shared_object_is_refused(void **state)
{
    static const unsigned char head[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 3};
    char path[] = "/tmp/warren-plugin-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, head, sizeof head), sizeof head);
    close(fd);
    refused(path, "cannot load the plugin");
    unlink(path);
}

/* A copy of the good plugin of @len bytes, all of them zeros from @zeros on. The caller frees. */
static char *copy_of_good(size_t len, size_t zeros)
{
    char *path = strdup("/tmp/warren-plugin-XXXXXX");
    FILE *from = fopen(PLUGIN_FIXTURES "/good.so", "re");
    int fd = mkstemp(path);
    char *all = calloc(1, len + 1);
    size_t got = fread(all, 1, len, from);

    assert_true(fd >= 0 && got <= len);
    if (zeros < len)
        memset(all + zeros, 0, len - zeros);
    assert_int_equal(write(fd, all, len), len);
    close(fd);
    fclose(from);
    free(all);
    return path;
}

static size_t size_of_good(void)
{
    FILE *file = fopen(PLUGIN_FIXTURES "/good.so", "re");
    long size;

    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    fclose(file);
    return (size_t)size;
}

/* Cut anywhere, it is refused, and the process lives: the dynamic linker would map what is not
 * there. */
static void a_file_half_copied_is_refused(void **state)
{
    size_t size = size_of_good();

    (void)state;
    for (size_t len = 20; len < size; len += len < 4000 ? 97 : 1999) {
        char *path = copy_of_good(len, len);

        refused(path, "it was not copied completely");
        unlink(path);
        free(path);
    }
}

/* One that was made as long as it will be, and is still to be filled. */
static void a_file_not_filled_yet_is_refused(void **state)
{
    size_t size = size_of_good();

    (void)state;
    for (size_t zeros = 64; zeros < 2000; zeros += 400) {
        char *path = copy_of_good(size, zeros);

        refused(path, "cannot load the plugin: ");
        unlink(path);
        free(path);
    }
}

/* The whole file, and more behind it, as signing tools leave it. */
static void what_stands_behind_it_does_no_harm(void **state)
{
    char *path = copy_of_good(size_of_good() + 1000, SIZE_MAX);
    struct plugin *plugin = NULL;

    (void)state;
    assert_int_equal(plugin_load(path, &plugin, NULL), WARREN_OK);
    plugin_free(plugin);
    unlink(path);
    free(path);
}

/* Numbers that would overflow, and those of another machine. */
static void damaged_headers_are_refused(void **state)
{
    static const struct {
        size_t offset;
        uint64_t value;
        size_t len;
        const char *why;
    } damages[] = {
        {offsetof(ElfW(Ehdr), e_phoff), UINT64_MAX, 8, "damaged"},
        {offsetof(ElfW(Ehdr), e_shoff), UINT64_MAX - 8, 8, "damaged"},
        {offsetof(ElfW(Ehdr), e_phoff), UINT64_C(1) << 62, 8, "not copied completely"},
        {offsetof(ElfW(Ehdr), e_phnum), 0, 2, "damaged"},
        {offsetof(ElfW(Ehdr), e_phnum), 0xffff, 2, "damaged"},
        {offsetof(ElfW(Ehdr), e_phentsize), 1, 2, "damaged"},
        {offsetof(ElfW(Ehdr), e_shentsize), 1, 2, "damaged"},
        {offsetof(ElfW(Ehdr), e_machine), EM_68K, 2, "another kind of machine"},
        {EI_CLASS, ELFCLASS32, 1, "another kind of machine"},
        {EI_DATA, ELFDATA2MSB, 1, "another kind of machine"},
        {sizeof(ElfW(Ehdr)) + offsetof(ElfW(Phdr), p_filesz), UINT64_C(1) << 40, 8,
         "not copied completely"},
        {sizeof(ElfW(Ehdr)) + offsetof(ElfW(Phdr), p_offset), UINT64_MAX, 8, "beyond all files"},
        {sizeof(ElfW(Ehdr)) + offsetof(ElfW(Phdr), p_offset), 1 << 30, 8, "not copied completely"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char *path = copy_of_good(size_of_good(), SIZE_MAX);
        FILE *file = fopen(path, "r+e");

        assert_int_equal(fseek(file, (long)damages[i].offset, SEEK_SET), 0);
        assert_int_equal(fwrite(&damages[i].value, damages[i].len, 1, file), 1);
        fclose(file);
        refused(path, damages[i].why);
        unlink(path);
        free(path);
    }
}

/* Nobody writes into the pipe, and nobody waits for that. A huge file is not read. */
static void pipes_and_huge_files_are_refused(void **state)
{
    char path[] = "/tmp/warren-plugin-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
    refused(path, "not a shared object");
    close(fd);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, "not a shared object");
    unlink(path);
}

/* Who knows what is to be in the file gets that, or nothing. */
static void another_content_is_refused(void **state)
{
    struct plugin *first = load_good();
    struct plugin *second = NULL;
    struct warren_error error = {WARREN_OK, ""};
    uint8_t content[SIPHASH_SIZE];

    (void)state;
    memcpy(content, first->file.content, sizeof content);
    assert_int_equal(plugin_load_anew(PLUGIN_FIXTURES "/good.so", 1, content, &second, &error),
                     WARREN_OK);
    plugin_free(second);
    content[7] ^= 1;
    second = NULL;
    assert_int_equal(plugin_load_anew(PLUGIN_FIXTURES "/good.so", 2, content, &second, &error),
                     WARREN_EPLUGIN);
    assert_null(second);
    assert_non_null(strstr(error.text, "the file changed while it was being loaded"));
    plugin_free(first);
}

static void a_missing_entry_function_is_refused(void **state)
{
    (void)state;
    refused(PLUGIN_FIXTURES "/no_entry.so", "exports no warren_plugin_entry");
    refused(PLUGIN_FIXTURES "/null_entry.so", "returned NULL");
}

/* All symbols are bound while loading, not in the middle of the first message. */
static void an_undefined_symbol_is_found_while_loading(void **state)
{
    (void)state;
    refused(PLUGIN_FIXTURES "/undefined.so", "charge_the_card_of_nobody");
}

/* The error says what to do. */
static void another_abi_is_refused(void **state)
{
    (void)state;
    refused(PLUGIN_FIXTURES "/newer_abi.so",
            "newer_abi.so: was compiled for ABI 3, this warren has ABI 2: compile it anew with the "
            "headers of this version, or upgrade warren");
    refused(PLUGIN_FIXTURES "/abi_1.so",
            "abi_1.so: was compiled for ABI 1, this warren has ABI 2: compile it anew with the "
            "headers of this version");
}

static const struct warren_subscription_info info = {.queue = "bills",
                                                     .handler = "payments.charge"};

/* A handler gets the state of its own `open`, until `close`. */
static void a_handler_is_opened_and_closed(void **state)
{
    struct plugin *plugin = load_good();
    struct instance instance;

    (void)state;
    assert_int_equal(instance_open(&instance, &plugin->handlers[0], &info, NULL), WARREN_OK);
    assert_int_equal(*(int *)instance.state, 1);
    assert_int_equal(instance.handler->handle(NULL, instance.state), WARREN_ACK);
    instance_reopen(&instance);
    assert_int_equal(*(int *)instance.state, 11);
    instance_close(&instance);
    assert_int_equal(*(int *)instance.state, 10);
    instance_close(&instance);
    assert_int_equal(*(int *)instance.state, 10);
    plugin_free(plugin);
}

/* `open` and `close` may be absent. */
static void a_plain_handler_needs_no_open(void **state)
{
    struct plugin *plugin = load_good();
    struct instance instance;

    (void)state;
    assert_int_equal(instance_open(&instance, &plugin->handlers[2], &info, NULL), WARREN_OK);
    assert_null(instance.state);
    instance_reopen(&instance);
    instance_close(&instance);
    plugin_free(plugin);
}

/* What `open` wrote reaches the operator, with queue and handler; nothing is closed afterwards. */
static void a_failing_open_tells_why(void **state)
{
    static const struct warren_subscription_info failing = {.queue = "bills",
                                                            .handler = "payments.failing"};
    struct plugin *plugin = load_good();
    struct warren_error error = {WARREN_OK, ""};
    struct instance instance;

    (void)state;
    assert_int_equal(instance_open(&instance, &plugin->handlers[1], &failing, &error),
                     WARREN_EPLUGIN);
    assert_string_equal(error.text,
                        "queue bills: handler payments.failing failed to open: no such ledger");
    instance_close(&instance);
    plugin_free(plugin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_is_loaded),
        cmocka_unit_test(a_bare_name_is_a_file_of_this_folder),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(what_is_no_shared_object_is_refused),
        cmocka_unit_test(a_broken_shared_object_is_refused),
        cmocka_unit_test(a_file_half_copied_is_refused),
        cmocka_unit_test(a_file_not_filled_yet_is_refused),
        cmocka_unit_test(what_stands_behind_it_does_no_harm),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(pipes_and_huge_files_are_refused),
        cmocka_unit_test(another_content_is_refused),
        cmocka_unit_test(a_missing_entry_function_is_refused),
        cmocka_unit_test(an_undefined_symbol_is_found_while_loading),
        cmocka_unit_test(another_abi_is_refused),
        cmocka_unit_test(a_handler_is_opened_and_closed),
        cmocka_unit_test(a_plain_handler_needs_no_open),
        cmocka_unit_test(a_failing_open_tells_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
