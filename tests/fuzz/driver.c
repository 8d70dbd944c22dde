// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drives a fuzz target without libFuzzer: each file of the corpus as it is, then
 * COUNT inputs made of them by a few changes each, the same for the same SEED.
 *
 *   TARGET [-n COUNT] [-s SEED] FILE...
 */
#include "fuzz.h"

#include <err.h>
#include <string.h>
#include <unistd.h>

#define SIZE_MAX_INPUT	65536

struct input {
	uint8_t *bytes;
	size_t size;
};

static uint64_t state = 1;

static uint64_t pick(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n ? state % n : 0;
}

static struct input read_input(const char *path)
{
	struct input in = { malloc(SIZE_MAX_INPUT), 0 };
	FILE *f = fopen(path, "re");

	if (!f || !in.bytes)
		err(2, "%s", path);
	in.size = fread(in.bytes, 1, SIZE_MAX_INPUT, f);
	fclose(f);
	return in;
}

/* A copy of its own size, so that a read beyond its end is seen */
static void run(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		err(2, "memory");
	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void set_number(uint8_t *at, size_t room)
{
	static const uint64_t edges[] = {
		0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX, UINT64_MAX,
	};
	uint64_t value = edges[pick(sizeof(edges) / sizeof(edges[0]))];
	size_t width = (size_t)1 << pick(4);

	memcpy(at, &value, width < room ? width : room);
}

static size_t change(uint8_t *bytes, size_t size, const struct input *other)
{
	size_t at = pick(size), n;

	switch (pick(6)) {
	case 0:
		if (size)
			bytes[at] ^= 1 << pick(8);
		break;
	case 1:
		if (size)
			bytes[at] = pick(256);
		break;
	case 2:
		set_number(bytes + (at & ~(size_t)3), SIZE_MAX_INPUT - (at & ~(size_t)3));
		size = size > (at & ~(size_t)3) + 8 ? size : (at & ~(size_t)3) + 8;
		break;
	case 3:		/* the end is gone */
		size = at;
		break;
	case 4:		/* a piece once more */
		n = pick(size - at + 1);
		if (size + n <= SIZE_MAX_INPUT) {
			memmove(bytes + at + n, bytes + at, size - at);
			size += n;
		}
		break;
	default:	/* the rest of another */
		n = at < other->size ? other->size - at : 0;
		memcpy(bytes + at, other->bytes + other->size - n, n);
		size = at + n;
	}
	return size;
}

int main(int argc, char **argv)
{
	static uint8_t bytes[SIZE_MAX_INPUT + 16];
	unsigned long count = 0;
	struct input *inputs;
	int c, n;

	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		if (c == 'n')
			count = strtoul(optarg, NULL, 10);
		else if (c == 's')
			state = strtoul(optarg, NULL, 10) | 1;
		else
			return 2;
	}
	n = argc - optind;
	if (n <= 0)
		errx(2, "no corpus");
	inputs = calloc(n, sizeof(*inputs));
	if (!inputs)
		err(2, "memory");
	for (int i = 0; i < n; i++) {
		inputs[i] = read_input(argv[optind + i]);
		run(inputs[i].bytes, inputs[i].size);
	}
	for (unsigned long i = 0; i < count; i++) {
		const struct input *in = &inputs[pick(n)];
		size_t size = in->size;

		memcpy(bytes, in->bytes, size);
		for (uint64_t times = pick(4) + 1; times; times--)
			size = change(bytes, size, &inputs[pick(n)]);
		run(bytes, size);
	}
	for (int i = 0; i < n; i++)
		free(inputs[i].bytes);
	free(inputs);
	printf("TPASS: %d inputs of the corpus, %lu made of them\n", n, count);
	return 0;
}
