/* requests.h: requests become sequences of tokens by lm-evaluation-harness' rules
 * (lm_eval/models/huggingface.py and api/model.py, causal models), and what the engine answers
 * becomes responses. */
#ifndef ASSAY_BACKENDS_LOCAL_REQUESTS_H
#define ASSAY_BACKENDS_LOCAL_REQUESTS_H

#include "backends/local/engine.h"
#include "backends/local/sample.h"
#include "backends/local/token_memo.h"
#include "backends/local/tokenizer.h"
#include "base/request.h"

/* What is known of a model's texts. */
struct language {
    struct tokenizer *tokenizer;
    const struct tokenizer_info *words;
    struct token_memo *memo;
    int32_t prefix; /* what stands for an empty context: BOS, else EOS; -1: neither */
    struct str prefix_text;
    const int32_t *stops; /* ids that end a text */
    int n_stops;
    int max_length;    /* tokens of context */
    const char *path;  /* of the model, for errors */
    enum format dtype; /* likewise */
};

/* One sequence of a request; a rolling one has several. */
struct part {
    struct engine_job job;
    struct prepared *prepared;
};

/* A request as tokens, and later its answer. Everything it points to lives in its arena. */
struct prepared {
    struct arena arena;
    enum request_kind kind;
    struct part *parts;
    int n_parts;
    int n_truncated;
    int n_top;
    struct str *until;
    int n_until;
    size_t longest_stop; /* bytes */
    struct sampling sampling;
    struct detokenizer text;
    size_t searched; /* bytes of text without a stop string in them */
    enum finish_reason finish;
    struct error err; /* of the detokenizer */
    struct language *language;

    /* The backend's. */
    uint64_t tag;
    int n_open;                    /* parts without an answer */
    struct prepared *next, **link; /* list of all in flight */
    struct prepared *twins;        /* list, by next_twin, of those that get the same answer */
    struct prepared *next_twin;
    uint64_t hash;              /* of a greedy generation */
    struct prepared *colliding; /* next in its bucket */
};

/* Thread-safe. E_INPUT, E_UNSUPPORTED: it cannot be asked (double BOS, empty continuation). */
int request_prepare(struct language *l, const struct request *q, struct prepared **ret,
                    struct error *err);
void prepared_free(struct prepared *p);

/* The response once all parts are done. Its strings live in `a`. */
void prepared_answer(struct prepared *p, struct arena *a, struct response *ret);

#endif
