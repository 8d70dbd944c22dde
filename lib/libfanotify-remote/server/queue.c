/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAX_RECORDS	(FANR_WIRE_MAX_MESSAGE - \
			 sizeof(struct fuse_out_header) - \
			 sizeof(struct fanr_wire_notify))
#define CHUNK_SIZE	(sizeof(struct fanr_chunk) + MAX_RECORDS)
void fanr_queue_free(struct fanr_queue *queue)
{
	struct fanr_chunk *chunk;

	while ((chunk = fanr_queue_take(queue)))
		free(chunk);
}

void fanr_queue_lose(struct fanr_queue *queue)
{
	if (queue->tail)
		queue->tail->overflow = true;
	else
		queue->overflow = true;
}

static struct fanr_chunk *new_tail(struct fanr_queue *queue)
{
	struct fanr_chunk *chunk;

	if (queue->head && queue->bytes + CHUNK_SIZE > queue->max_bytes)
		return NULL;
	chunk = malloc(CHUNK_SIZE);
	if (!chunk)
		return NULL;
	memset(chunk, 0, sizeof(*chunk));
	if (queue->tail)
		queue->tail->next = chunk;
	else
		queue->head = chunk;
	queue->tail = chunk;
	queue->bytes += CHUNK_SIZE;
	return chunk;
}

static struct fanr_chunk *room(struct fanr_queue *queue, size_t len)
{
	struct fanr_chunk *tail = queue->tail;

	if (!tail || tail->overflow || tail->len + len > MAX_RECORDS)
		return new_tail(queue);
	return tail;
}

bool fanr_queue_add(struct fanr_queue *queue, const struct fanr_wire_event *wire,
		    const char *name, const char *name2)
{
	struct fanr_chunk *chunk = NULL;
	unsigned char *to;

	if (queue->events < queue->max_events)
		chunk = room(queue, wire->len);
	if (!chunk) {
		fanr_queue_lose(queue);
		return false;
	}

	to = chunk->records + chunk->len;
	memset(to, 0, wire->len);
	memcpy(to, wire, sizeof(*wire));
	to += sizeof(*wire);
	if (wire->namelen)
		memcpy(to, name, wire->namelen);
	if (wire->name2len)
		memcpy(to + wire->namelen, name2, wire->name2len);
	chunk->len += wire->len;
	chunk->count++;
	queue->events++;
	return true;
}

struct fanr_chunk *fanr_queue_take(struct fanr_queue *queue)
{
	struct fanr_chunk *chunk = queue->head;

	if (!chunk)
		return NULL;
	queue->head = chunk->next;
	if (!queue->head)
		queue->tail = NULL;
	queue->events -= chunk->count - chunk->done_count;
	queue->bytes -= CHUNK_SIZE;
	return chunk;
}

void fanr_queue_peek(const struct fanr_queue *queue, size_t size, struct fanr_view *view)
{
	const struct fanr_chunk *chunk = queue->head;
	struct fanr_wire_event wire;

	memset(view, 0, sizeof(*view));
	view->overflow = queue->overflow;
	if (queue->overflow || !chunk)
		return;
	view->records = chunk->records + chunk->done;
	while (chunk->done + view->len < chunk->len) {
		memcpy(&wire, view->records + view->len, sizeof(wire));
		if (wire.len > size - view->len)
			break;
		view->len += wire.len;
		view->count++;
	}
}

void fanr_queue_consume(struct fanr_queue *queue, const struct fanr_view *view)
{
	struct fanr_chunk *chunk = queue->head;

	if (view->overflow) {
		queue->overflow = false;
		return;
	}
	if (!chunk)
		return;
	chunk->done += view->len;
	chunk->done_count += view->count;
	queue->events -= view->count;
	if (chunk->done < chunk->len)
		return;
	queue->overflow = chunk->overflow;
	free(fanr_queue_take(queue));
}

void fanr_queue_untake(struct fanr_queue *queue, struct fanr_chunk *chunk)
{
	/* What was lost meanwhile was lost after this chunk */
	chunk->overflow |= queue->overflow;
	queue->overflow = false;
	chunk->next = queue->head;
	queue->head = chunk;
	if (!queue->tail)
		queue->tail = chunk;
	queue->events += chunk->count;
	queue->bytes += CHUNK_SIZE;
}
