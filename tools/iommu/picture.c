// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the rounds as a picture
 *
 * A heat map as SVG: guest memory from left to right, rounds from top to
 * bottom. Each round has a blue strip of its DIRTY pages, and below it an orange one
 * of its WRITTEN pages; a MISSED page is a red bar through both. The caller supplies
 * the words, which depend on the source of these pages.
 */
#include <string.h>
#include "precopy.h"

#define LEFT		96
#define TOP		132
#define MAP_WIDTH	768
#define WIDTH		1160

/* Share of pages: none, then below each bound, then all. */
static const double bounds[] = { 0.01, 0.05, 0.20, 0.50, 1.0 };
static const char *const bins[] = {
	"none", "below 1 %", "1 to 5 %", "5 to 20 %", "20 to 50 %", "over 50 %",
	"all"
};

static const char *const blues[] = {
	"#f1f2f4", "#d3e3f3", "#a6cbe6", "#6aaed6", "#3585bf", "#125ea6",
	"#08306b"
};

static const char *const oranges[] = {
	"#f1f2f4", "#fde0c2", "#fdbe85", "#fd9243", "#e8630d", "#b84203",
	"#7a2804"
};

static const char red[] = "#d4006a";

static const char style[] =
	"text{font-size:12px}.title{font-size:20px}.label,.bad{font-size:14px}\n"
	".title,.head,.bad{font-weight:bold}";

struct picture {
	FILE *out;
	const struct guest *g;
	const struct round *rounds;
	unsigned int nr;
	const struct picture_words *words;
	double row, cell;		/* height of a row, width of a column */
	unsigned int columns;
};

const char *thousands(__u64 value, char *text, size_t size)
{
	char digits[24];
	size_t n = snprintf(digits, sizeof(digits), "%llu", value);
	size_t i, at = 0;

	for (i = 0; i < n && at + 2 < size; i++) {
		if (i && (n - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = 0;
	return text;
}

static __u64 first_page(const struct picture *p, unsigned int column)
{
	return (column * p->g->pages + p->columns - 1) / p->columns;
}

static int bin(const struct picture *p, unsigned int column, __u32 pages)
{
	__u64 all = first_page(p, column + 1) - first_page(p, column);
	double share = (double)pages / all;
	unsigned int i;

	if (!pages)
		return 0;
	for (i = 0; i < ARRAY_SIZE(bounds); i++)
		if (share < bounds[i])
			return i + 1;
	return ARRAY_SIZE(bounds) + 1;
}

static void put_rect(FILE *out, double x, double y, double width, double height,
		     const char *colour)
{
	fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n",
		x, y, width, height, colour);
}

static void put_text(FILE *out, double x, double y, const char *anchor,
		     const char *class, const char *words)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n",
		x, y, anchor, class, words);
}

/* Neighbours of one colour are one rectangle. */
static void strip(const struct picture *p, const struct round *round,
		  enum kind kind, double y, double height)
{
	const char *const *colours = kind == WRITTEN ? oranges : blues;
	unsigned int column, from = 0;
	int now, before = -1;

	for (column = 0; column <= p->columns; column++) {
		now = column == p->columns ? -1 :
		      bin(p, column, round->heat[column][kind]);
		if (now == before)
			continue;
		if (before >= 0)
			put_rect(p->out, LEFT + from * p->cell, y,
				 (column - from) * p->cell, height,
				 colours[before]);
		before = now;
		from = column;
	}
}

static void draw_row(const struct picture *p, unsigned int n)
{
	const struct round *round = &p->rounds[n];
	double y = TOP + n * p->row, gap = p->row > 12 ? 3 : 0.5;
	double height = p->row - gap;
	unsigned int column;

	if (!n && p->words->full_copy) {
		put_rect(p->out, LEFT, y, MAP_WIDTH, height, "#d9dce1");
		return;
	}
	strip(p, round, DIRTY, y, height * 0.6);
	strip(p, round, WRITTEN, y + height * 0.6, height * 0.4);
	for (column = 0; column < p->columns; column++)
		if (round->heat[column][MISSED])
			put_rect(p->out, LEFT + column * p->cell, y, p->cell,
				 height, red);
}

static void row_labels(const struct picture *p, unsigned int n)
{
	static const int at[PICTURE_NUMBERS] = { 78, 152, 232 };
	char texts[PICTURE_NUMBERS][32] = { "" };
	double y = TOP + (n + 0.5) * p->row + 2.5;
	char words[32];
	unsigned int i;

	if (n && n + 1 == p->nr && p->words->stopped)
		snprintf(words, sizeof(words), "stopped");
	else
		snprintf(words, sizeof(words), "%u", n + p->words->first);
	put_text(p->out, LEFT - 8, y, "end", "small", words);
	p->words->numbers(p->g, &p->rounds[n], !n && p->words->full_copy, texts);
	for (i = 0; i < PICTURE_NUMBERS; i++)
		if (texts[i][0])
			put_text(p->out, LEFT + MAP_WIDTH + at[i], y, "end",
				 "small", texts[i]);
}

static void rows(const struct picture *p)
{
	static const int at[PICTURE_NUMBERS] = { 78, 152, 232 };
	unsigned int i, step = 1;

	while (step * p->row < 13)
		step++;
	for (i = 0; i < PICTURE_NUMBERS; i++)
		put_text(p->out, LEFT + MAP_WIDTH + at[i], TOP - 10, "end", "head",
			 p->words->heads[i]);
	put_text(p->out, LEFT - 8, TOP - 10, "end", "head", "round");
	for (i = 0; i < p->nr; i++) {
		draw_row(p, i);
		if (i % step == 0 || i + 1 == p->nr)
			if (i + 1 == p->nr ||
			    i + step < p->nr || step == 1)
				row_labels(p, i);
	}
}

static void axis(const struct picture *p, double bottom)
{
	__u64 at, step = MIB;
	char words[96];
	double x;

	while (p->g->size / step > 10)
		step *= 2;
	for (at = 0; at <= p->g->size; at += step) {
		x = LEFT + (double)at * MAP_WIDTH / p->g->size;
		put_rect(p->out, x - 0.5, bottom, 1, 6, "#444");
		snprintf(words, sizeof(words), "%llu", at / MIB);
		put_text(p->out, x, bottom + 20, "middle", "small", words);
	}
	snprintf(words, sizeof(words),
		 "guest memory in MiB; a column is %.4g pages of %.4g KiB",
		 (double)p->g->pages / p->columns, p->g->page / 1024.0);
	put_text(p->out, LEFT + MAP_WIDTH / 2, bottom + 40, "middle", "label",
		 words);
}

/* Drawn last, over the lines of the mappings. */
static void name_full_copy(const struct picture *p)
{
	double x = LEFT + MAP_WIDTH / 2;

	if (!p->words->full_copy || !p->nr || p->row < 14)
		return;
	put_rect(p->out, x - 125, TOP, 250, p->row - 3, "#d9dce1");
	put_text(p->out, x, TOP + p->row / 2 + 2.5, "middle", "small",
		 p->words->full_copy);
}

/* Where a mapping begins: a thin line, and its IOVA if there is room. */
static void slots(const struct picture *p, double bottom)
{
	const struct guest *g = p->g;
	char words[32];
	unsigned int i;
	double x;

	for (i = 0; i < g->nr_slots; i++) {
		x = LEFT + (double)g->slots[i].offset * MAP_WIDTH / g->size;
		fprintf(p->out, "<path d=\"M%.1f %d V%.1f\" stroke=\"#444\" ",
			x, TOP - 8, bottom);
		fprintf(p->out, "stroke-dasharray=\"3 3\" fill=\"none\"/>\n");
		if (g->nr_slots > 4)
			continue;
		snprintf(words, sizeof(words), "IOVA %#llx", g->slots[i].iova);
		put_text(p->out, x + 4, TOP - 10, "start", "small", words);
	}
}

static void legend(const struct picture *p, double y)
{
	const unsigned int n = ARRAY_SIZE(bins);
	unsigned int i;
	double x;

	put_text(p->out, LEFT, y, "start", "label",
		 "Share of the pages in a column:");
	for (i = 0; i < n; i++) {
		x = LEFT + 238 + i * 82;
		put_rect(p->out, x, y + 8, 82, 13, blues[i]);
		put_rect(p->out, x, y + 24, 82, 13, oranges[i]);
		put_text(p->out, x + 41, y, "middle", "small", bins[i]);
	}
	put_text(p->out, LEFT + 228, y + 19, "end", "small",
		 p->words->upper);
	put_text(p->out, LEFT + 228, y + 35, "end", "small",
		 p->words->lower);
	put_text(p->out, LEFT, y + 60, "start", "small", p->words->note);
	if (!p->words->missed)
		return;
	put_rect(p->out, LEFT + 238 + n * 82 + 16, y + 8, 12, 29, red);
	put_text(p->out, LEFT + 238 + n * 82 + 36, y + 27, "start", "small",
		 p->words->missed);
}

static void heading(const struct picture *p)
{
	const struct picture_words *words = p->words;

	put_text(p->out, LEFT, 36, "start", "title", words->title);
	put_text(p->out, LEFT, 62, "start", "label", words->line);
	put_text(p->out, LEFT, 84, "start", words->bad ? "bad" : "label",
		 words->verdict);
}

/**
 * draw_picture() - write the rounds of a migration as SVG
 * @g: memory; only its sizes and slots are used
 * @rounds: rounds
 * @nr_rounds: number of rounds
 * @words: texts, and the file to write
 *
 * Return: 0, or EXIT_SETUP if the file could not be written.
 */
int draw_picture(const struct guest *g, const struct round *rounds,
		 unsigned int nr_rounds, const struct picture_words *words)
{
	struct picture p = {
		.g = g, .rounds = rounds, .nr = nr_rounds, .words = words,
		.columns = guest_columns(g),
	};
	double bottom;
	int height;
	bool bad;

	p.out = fopen(words->file, "we");
	if (!p.out)
		return fail(EXIT_SETUP, "--picture %s: %m", words->file);
	p.cell = (double)MAP_WIDTH / p.columns;
	p.row = 480.0 / (p.nr ?: 1);
	p.row = p.row > 40 ? 40 : p.row < 5 ? 5 : p.row;
	bottom = TOP + p.nr * p.row;
	height = bottom + 160;

	fprintf(p.out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" ",
		WIDTH);
	fprintf(p.out, "height=\"%d\" viewBox=\"0 0 %d %d\" fill=\"#1c1f24\" ",
		height, WIDTH, height);
	fprintf(p.out, "font-family=\"DejaVu Sans, Verdana, sans-serif\">\n");
	fprintf(p.out, "<style>%s.bad{fill:%s}</style>\n", style, red);
	put_rect(p.out, 0, 0, WIDTH, height, "#ffffff");
	heading(&p);
	rows(&p);
	slots(&p, bottom);
	name_full_copy(&p);
	axis(&p, bottom);
	legend(&p, bottom + 74);
	fprintf(p.out, "</svg>\n");
	bad = fflush(p.out) || ferror(p.out);
	bad = fclose(p.out) || bad;
	if (bad)
		return fail(EXIT_SETUP, "--picture %s: %m", words->file);
	return 0;
}
