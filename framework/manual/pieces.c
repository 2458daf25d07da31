#include "manual/pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {[PIECE_SUMMARY] = "@summary ",
                                    [PIECE_USE] = "@use ",
                                    [PIECE_OPTION] = "@option ",
                                    [PIECE_SECTION] = "@section "};

/* ---- reading ---- */

static bool add_file(struct pieces *pieces, const char *path, char *bytes)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    struct piece_file *files = realloc(pieces->files, (pieces->count + 1) * sizeof *pieces->files);

    if (!files)
        return false;
    pieces->files = files;
    files[pieces->count] = (struct piece_file){.bytes = bytes};
    files[pieces->count].name = strndup(name, strcspn(name, "."));
    return files[pieces->count++].name;
}

static struct piece *add_piece(struct piece_file *file, enum piece_kind kind, const char *name)
{
    struct piece *items = realloc(file->items, (file->count + 1) * sizeof *items);

    if (!items)
        return NULL;
    file->items = items;
    items[file->count] = (struct piece){.kind = kind, .name = name};
    return &items[file->count++];
}

/* A line that begins with @; its end becomes a NUL. False: it is none of the words. */
static bool begin_piece(struct piece_file *file, char *line)
{
    for (int kind = PIECE_SUMMARY; kind <= PIECE_SECTION; kind++) {
        size_t len = strlen(words[kind]);

        if (strncmp(line, words[kind], len) == 0)
            return add_piece(file, (enum piece_kind)kind, line + len);
    }
    return false;
}

static bool split(struct piece_file *file, const char **why)
{
    char *next;

    *why = "has a line that begins with @, and with none of the words that do (manual/pieces.h)";
    if (!add_piece(file, PIECE_TEXT, ""))
        return false;
    for (char *line = file->bytes; *line; line = next) {
        struct piece *piece = &file->items[file->count - 1];

        if (piece->kind == PIECE_SUMMARY)
            piece = &file->items[0];
        next = line + strcspn(line, "\n");
        if (*line == '@') {
            next += *next == '\n';
            line[strcspn(line, "\n")] = '\0';
            if (!begin_piece(file, line))
                return false;
            continue;
        }
        next += *next == '\n';
        if (!piece->text)
            piece->text = line;
        piece->len = (size_t)(next - piece->text);
    }
    return true;
}

static char *read_all(const char *path, const char **why)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    *why = "cannot be read";
    if (!file)
        return NULL;
    if (getdelim(&bytes, &size, '\0', file) < 0) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

bool pieces_read(struct pieces *pieces, const char *path, const char **why)
{
    char *bytes = read_all(path, why);

    if (!bytes)
        return false;
    if (!add_file(pieces, path, bytes)) {
        free(bytes);
        return false;
    }
    return split(&pieces->files[pieces->count - 1], why);
}

/* ---- looking up ---- */

struct piece_file *pieces_find(struct pieces *pieces, const char *name)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (strcmp(pieces->files[i].name, name) == 0) {
            pieces->files[i].is_used = true;
            return &pieces->files[i];
        }
    }
    return NULL;
}

struct piece *piece_find(struct piece_file *file, enum piece_kind kind, const char *name)
{
    for (size_t i = 0; file && i < file->count; i++) {
        if (file->items[i].kind == kind && (!name || strcmp(file->items[i].name, name) == 0)) {
            file->items[i].is_used = true;
            return &file->items[i];
        }
    }
    return NULL;
}

struct piece *piece_find_option(struct pieces *pieces, struct piece_file *file, const char *name)
{
    struct piece *piece = piece_find(file, PIECE_OPTION, name);

    for (size_t i = 0; file && !piece && i < file->count; i++) {
        if (file->items[i].kind != PIECE_USE)
            continue;
        file->items[i].is_used = true;
        piece = piece_find(pieces_find(pieces, file->items[i].name), PIECE_OPTION, name);
    }
    return piece;
}

static bool is_unused(const struct piece_file *file, const struct piece *piece)
{
    static const char *const kinds[] = {"text", "summary", "@use", "@option", "@section"};

    if (piece->kind == PIECE_USE && piece->len > 1)
        fprintf(stderr, "%s.txt: there is text behind @use %s\n", file->name, piece->name);
    else if (piece->is_used || (piece->kind == PIECE_TEXT && piece->len == 0))
        return false;
    fprintf(stderr, "%s.txt: %s %s belongs to no page\n", file->name, kinds[piece->kind],
            piece->name);
    return true;
}

bool pieces_are_unused(struct pieces *pieces)
{
    bool any = false;

    for (size_t i = 0; i < pieces->count; i++) {
        const struct piece_file *file = &pieces->files[i];

        if (!file->is_used)
            fprintf(stderr, "%s.txt: there is no such command, and no @use of it\n", file->name);
        any = any || !file->is_used;
        for (size_t j = 0; file->is_used && j < file->count; j++)
            any = is_unused(file, &file->items[j]) || any;
    }
    return any;
}

void pieces_done(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        free(pieces->files[i].name);
        free(pieces->files[i].bytes);
        free(pieces->files[i].items);
    }
    free(pieces->files);
    *pieces = (struct pieces){NULL, 0};
}
