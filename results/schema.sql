-- schema.sql: what an assay store holds, version 6. Read it from the top; it is the whole truth.
--
-- A MODEL answers a TASK: that is an EVALUATION. It has one SAMPLE a document; a sample has the
-- REQUESTS that were put to the model, each with its response, and the SCORES they earned.
-- AGGREGATES are what tables show; they can be computed again from the scores, and every score of
-- a multiple-choice task again from its requests, without the model. RUNS say who asked for what.
--
-- The views at the end, v_scores, v_samples, v_requests, v_compare, v_tokens, v_divergence,
-- v_exact_divergence, v_models, v_leaderboard, v_groups and v_failures, are made for people's own
-- SQL: their names and columns stay as they are from version to version, whatever happens to the
-- tables. Times are UTC in ISO 8601. Log-probabilities are natural logarithms. A change here comes
-- with a migrate_N.sql that turns version N - 1 into N.

PRAGMA application_id = 1095979865;  -- "ASSY": tells a store from other SQLite files
PRAGMA user_version = 6;

-- Every text once, whoever refers to it: prompts, choices, responses, documents, definitions, and
-- token ids as a JSON array. A sample that is replaced leaves its texts here.
CREATE TABLE texts (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,      -- XXH3-128 of the bytes, 16 bytes
    text TEXT NOT NULL
);

-- A model as it was run. Another label, numerics or context length is another row.
CREATE TABLE models (
    id         INTEGER PRIMARY KEY,
    label      TEXT NOT NULL,       -- what tables call it
    path       TEXT NOT NULL,
    hash       TEXT NOT NULL,       -- of config, tokenizer and weights
    numerics   TEXT NOT NULL,       -- which kernels and activation type computed
    format     TEXT NOT NULL,       -- of the weights: "bf16", "q4_1"
    quant      TEXT NOT NULL,       -- what they were re-quantized to, or "none"
    n_params   INTEGER NOT NULL,
    max_length INTEGER NOT NULL,    -- tokens of context
    UNIQUE (label, path, hash, numerics, format, quant, n_params, max_length)
);

-- A task as it was asked: its definition with everything merged, and the data behind it.
CREATE TABLE tasks (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    alias       TEXT NOT NULL,
    version     TEXT NOT NULL,
    hash        TEXT NOT NULL,      -- of the definition
    data_hash   TEXT NOT NULL,      -- of the data files
    output_type TEXT NOT NULL,      -- "multiple_choice", "generate_until", ...
    n_docs      INTEGER NOT NULL,   -- in the evaluated split
    config      INTEGER NOT NULL REFERENCES texts,  -- JSON
    UNIQUE (name, alias, version, hash, data_hash, output_type, n_docs, config)
);

CREATE TABLE evaluations (
    id                   INTEGER PRIMARY KEY,
    hash                 TEXT NOT NULL UNIQUE,  -- over everything that can change a score
    model                INTEGER NOT NULL REFERENCES models,
    task                 INTEGER NOT NULL REFERENCES tasks,
    num_fewshot          INTEGER NOT NULL,
    fewshot_seed         INTEGER NOT NULL,
    chat_template_hash   TEXT NOT NULL,         -- "" when none was applied
    fewshot_as_multiturn INTEGER NOT NULL,      -- 0 or 1
    system_instruction   TEXT NOT NULL,
    created              TEXT NOT NULL,
    last_used            TEXT NOT NULL,         -- when a run last asked for it
    -- whose responses were scored again; NULL: the model was asked
    source               INTEGER REFERENCES evaluations ON DELETE SET NULL
);
CREATE INDEX evaluations_by_model ON evaluations (model);
CREATE INDEX evaluations_by_task ON evaluations (task);

CREATE TABLE samples (
    id         INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    doc_id     INTEGER NOT NULL,                -- its place in the split, from 0
    doc        INTEGER NOT NULL REFERENCES texts,  -- JSON
    target     TEXT NOT NULL,                   -- the right answer
    filtered   TEXT NOT NULL,                   -- JSON: {filter: what it made of the responses}
    error      TEXT,                            -- why it has no scores; NULL: it has
    UNIQUE (evaluation, doc_id)
);
CREATE INDEX samples_failed ON samples (evaluation) WHERE error IS NOT NULL;

-- One request of a sample and the model's response. `position` counts from 0 in the order asked.
CREATE TABLE requests (
    sample             INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
    position           INTEGER NOT NULL,
    idx                INTEGER NOT NULL,        -- which choice, or which repeat
    unconditional      INTEGER NOT NULL,        -- 1: the choice without its document
    prompt             INTEGER NOT NULL REFERENCES texts,
    continuation       INTEGER REFERENCES texts,  -- the choice, with the delimiter before it
    response           INTEGER REFERENCES texts,  -- generated text
    logprob            REAL,                    -- of the continuation, or of a whole text
    is_greedy          INTEGER NOT NULL,        -- 1: each token was the most probable one
    n_chars            INTEGER NOT NULL,        -- of the choice without its delimiter:
    n_bytes            INTEGER NOT NULL,        --   what acc_norm and acc_bytes divide by
    n_tokens_prompt    INTEGER NOT NULL,
    n_tokens_scored    INTEGER NOT NULL,
    n_tokens_generated INTEGER NOT NULL,
    n_truncated        INTEGER NOT NULL,        -- tokens cut from the prompt's left
    time_ns            INTEGER NOT NULL,
    finish             TEXT NOT NULL,           -- "eos", "stop", "length"; "": nothing generated
    prompt_tokens      INTEGER REFERENCES texts,  -- token ids that the model saw, then those
    tokens             INTEGER REFERENCES texts,  --   that were scored or generated
    PRIMARY KEY (sample, position)
) WITHOUT ROWID;

-- The scored tokens one by one, where a run asked for them (--top_logprobs): what two models make
-- of the same text can be compared token by token. `place` counts from 0 in each request.
CREATE TABLE token_logprobs (
    sample   INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
    position INTEGER NOT NULL,                  -- of the request
    place    INTEGER NOT NULL,
    token    INTEGER NOT NULL,
    logprob  REAL NOT NULL,
    top      TEXT NOT NULL,                     -- JSON: {token: logprob} of the most probable ones
    PRIMARY KEY (sample, position, place)
);

-- What can be measured: a metric on the answers that a filter let through.
CREATE TABLE measures (
    id               INTEGER PRIMARY KEY,
    metric           TEXT NOT NULL,             -- "acc_norm"
    filter           TEXT NOT NULL,             -- "none", "strict-match"
    higher_is_better INTEGER NOT NULL,
    UNIQUE (metric, filter)
);

-- One document's contribution to an aggregate: a mean averages `value`; perplexities divide the
-- sum of values by the sum of weights. NULL: not a number.
CREATE TABLE scores (
    sample  INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
    measure INTEGER NOT NULL REFERENCES measures,
    value   REAL,
    weight  REAL NOT NULL,
    parts   TEXT,                               -- JSON array of numbers, where the aggregate is
    PRIMARY KEY (sample, measure)               --   made of these instead: see docs/scores.md
) WITHOUT ROWID;

-- Over the documents below n_eval. Writing a sample deletes those that it makes stale.
CREATE TABLE aggregates (
    evaluation INTEGER NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    n_eval     INTEGER NOT NULL,
    measure    INTEGER NOT NULL REFERENCES measures,
    value      REAL,
    stderr     REAL,                            -- NULL: this aggregate has none
    n          INTEGER NOT NULL,                -- documents that were scored
    PRIMARY KEY (evaluation, n_eval, measure)
) WITHOUT ROWID;

-- Groups of tasks, as they were last defined.
CREATE TABLE groups (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    alias TEXT NOT NULL
);
CREATE TABLE group_members (
    grp      INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
    position INTEGER NOT NULL,
    task     TEXT NOT NULL,                     -- a task's name
    PRIMARY KEY (grp, position)
) WITHOUT ROWID;
CREATE TABLE group_aggregates (
    grp            INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
    metric         TEXT NOT NULL,
    weight_by_size INTEGER NOT NULL,            -- 1: a task counts by its documents; 0: once
    PRIMARY KEY (grp, metric)
) WITHOUT ROWID;

-- What a group's leaderboard_mean is made of.
CREATE TABLE group_terms (
    grp            INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    benchmark      TEXT NOT NULL,               -- benchmarks count alike
    task           TEXT NOT NULL,
    metric         TEXT NOT NULL,
    filter         TEXT NOT NULL,
    baseline       REAL NOT NULL,               -- what guessing gives
    weight_by_size INTEGER NOT NULL,            -- 1: in its benchmark it counts by its documents
    PRIMARY KEY (grp, position)
) WITHOUT ROWID;

CREATE TABLE runs (
    id              INTEGER PRIMARY KEY,
    command_line    TEXT NOT NULL,
    pid             INTEGER NOT NULL,
    started         TEXT NOT NULL,
    ended           TEXT,                       -- NULL: still going, or killed
    exit_code       INTEGER,
    tokens_computed INTEGER,
    seconds         REAL
);
CREATE TABLE run_evaluations (
    run        INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    evaluation INTEGER NOT NULL REFERENCES evaluations ON DELETE CASCADE,
    n_eval     INTEGER NOT NULL,                -- documents 0 .. n_eval-1 were asked for
    PRIMARY KEY (run, evaluation)
) WITHOUT ROWID;

-- What a model took in a run: the sizes of its weights, and how fast it was in tokens a second, with
-- one sequence at a time of the same length for every model. NULL: not measured.
CREATE TABLE run_models (
    run          INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model        INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    stored_bytes INTEGER,                       -- on disk; of the weights that quant= made
    held_bytes   INTEGER,                       -- of the weights, in memory
    prefill      REAL,                          -- reading a prompt
    decode       REAL,                          -- continuing it
    PRIMARY KEY (run, model)
) WITHOUT ROWID;

-- A document that two models read side by side (--divergence), and what they made of each of its
-- tokens. `position` is the request's, `place` the token's in it: a token that an earlier request
-- of the document has in the same place, behind the same tokens, counts there alone.
CREATE TABLE divergences (
    id       INTEGER PRIMARY KEY,
    sample_a INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,  -- the base model's
    sample_b INTEGER NOT NULL REFERENCES samples ON DELETE CASCADE,
    UNIQUE (sample_a, sample_b)
);
CREATE INDEX divergences_by_b ON divergences (sample_b);
CREATE TABLE token_divergences (
    divergence INTEGER NOT NULL REFERENCES divergences ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    token      INTEGER NOT NULL,                -- the one that came; its log-probabilities:
    logprob_a  REAL NOT NULL,
    logprob_b  REAL NOT NULL,
    kl         REAL NOT NULL,                   -- of B from A over the whole vocabulary, in nats
    same_top   INTEGER NOT NULL,                -- 1: both find the same token most probable
    PRIMARY KEY (divergence, position, place)
) WITHOUT ROWID;

-- What a run could not ask a model at all: a task whose data is missing or has bad rows.
CREATE TABLE run_failures (
    run   INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,                        -- the label
    task  TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (run, model, task)
) WITHOUT ROWID;

-- ---- views for people ----

-- One row for each model, task, metric and filter: the aggregate over the most documents.
CREATE VIEW v_scores AS
SELECT e.id AS evaluation, m.label AS model, t.name AS task, t.version AS version,
       e.num_fewshot AS num_fewshot, u.metric AS metric, u.filter AS filter,
       a.value AS value, a.stderr AS stderr, a.n AS n, a.n_eval AS n_eval,
       u.higher_is_better AS higher_is_better,
       m.format AS format, m.quant AS quant, m.numerics AS numerics, m.path AS path,
       e.last_used AS last_used
FROM aggregates a
JOIN evaluations e ON e.id = a.evaluation
JOIN models m ON m.id = e.model
JOIN tasks t ON t.id = e.task
JOIN measures u ON u.id = a.measure
WHERE a.n_eval = (SELECT max(b.n_eval) FROM aggregates b WHERE b.evaluation = a.evaluation);

-- One row for each document and score. `answer` is the generated text, or of several choices the
-- most probable one; `prompt` is what the first request showed to the model.
CREATE VIEW v_samples AS
SELECT e.id AS evaluation, m.label AS model, t.name AS task, e.num_fewshot AS num_fewshot,
       s.doc_id AS doc_id, u.metric AS metric, u.filter AS filter, c.value AS score,
       c.weight AS weight, s.target AS target,
       (SELECT x.text FROM requests r JOIN texts x ON x.id = coalesce(r.response, r.continuation)
        WHERE r.sample = s.id AND r.unconditional = 0
        ORDER BY r.logprob DESC, r.position LIMIT 1) AS answer,
       (SELECT x.text FROM requests r JOIN texts x ON x.id = r.prompt
        WHERE r.sample = s.id AND r.position = 0) AS prompt,
       (SELECT x.text FROM texts x WHERE x.id = s.doc) AS doc,
       s.filtered AS filtered, s.error AS error, s.id AS sample
FROM samples s
JOIN evaluations e ON e.id = s.evaluation
JOIN models m ON m.id = e.model
JOIN tasks t ON t.id = e.task
LEFT JOIN scores c ON c.sample = s.id
LEFT JOIN measures u ON u.id = c.measure;

-- One row for each request: a choice with its log-probability, or a prompt with its answer.
CREATE VIEW v_requests AS
SELECT e.id AS evaluation, m.label AS model, t.name AS task, e.num_fewshot AS num_fewshot,
       s.doc_id AS doc_id, r.position AS position, r.idx AS idx,
       r.unconditional AS unconditional,
       (SELECT x.text FROM texts x WHERE x.id = r.prompt) AS prompt,
       (SELECT x.text FROM texts x WHERE x.id = r.continuation) AS continuation,
       (SELECT x.text FROM texts x WHERE x.id = r.response) AS response,
       r.logprob AS logprob, r.is_greedy AS is_greedy, r.n_chars AS n_chars,
       r.n_bytes AS n_bytes, r.n_tokens_prompt AS n_tokens_prompt,
       r.n_tokens_scored AS n_tokens_scored, r.n_tokens_generated AS n_tokens_generated,
       r.n_truncated AS n_truncated, r.time_ns / 1e9 AS seconds, r.finish AS finish,
       (SELECT x.text FROM texts x WHERE x.id = r.prompt_tokens) AS prompt_tokens,
       (SELECT x.text FROM texts x WHERE x.id = r.tokens) AS tokens, s.id AS sample
FROM requests r
JOIN samples s ON s.id = r.sample
JOIN evaluations e ON e.id = s.evaluation
JOIN models m ON m.id = e.model
JOIN tasks t ON t.id = e.task;

-- One row for each document that two models both answered in the same setting, and each score.
-- Name both models in the WHERE clause: every ordered pair is in here.
CREATE VIEW v_compare AS
SELECT ma.label AS model_a, mb.label AS model_b, ta.name AS task, ea.num_fewshot AS num_fewshot,
       sa.doc_id AS doc_id, u.metric AS metric, u.filter AS filter,
       ca.value AS score_a, cb.value AS score_b, cb.value - ca.value AS difference,
       sa.target AS target, sa.id AS sample_a, sb.id AS sample_b,
       ea.id AS evaluation_a, eb.id AS evaluation_b
FROM models ma
JOIN evaluations ea ON ea.model = ma.id
JOIN tasks ta ON ta.id = ea.task
JOIN models mb
JOIN evaluations eb ON eb.model = mb.id AND eb.id <> ea.id AND eb.num_fewshot = ea.num_fewshot
                   AND (eb.fewshot_seed = ea.fewshot_seed OR ea.num_fewshot = 0)
                   AND (eb.chat_template_hash = '') = (ea.chat_template_hash = '')
                   AND eb.fewshot_as_multiturn = ea.fewshot_as_multiturn
                   AND eb.system_instruction = ea.system_instruction
JOIN tasks tb ON tb.id = eb.task AND tb.name = ta.name AND tb.hash = ta.hash
JOIN samples sa ON sa.evaluation = ea.id
JOIN samples sb ON sb.evaluation = eb.id AND sb.doc_id = sa.doc_id AND sb.doc = sa.doc
JOIN scores ca ON ca.sample = sa.id
JOIN scores cb ON cb.sample = sb.id AND cb.measure = ca.measure
JOIN measures u ON u.id = ca.measure;

-- One row for each scored token, where they were asked for. `remainder` is the probability of all
-- tokens that `top` does not list.
CREATE VIEW v_tokens AS
SELECT e.id AS evaluation, m.label AS model, t.name AS task, e.num_fewshot AS num_fewshot,
       s.doc_id AS doc_id, k.position AS position, k.place AS place, k.token AS token,
       k.logprob AS logprob, k.top AS top,
       max(1 - (SELECT sum(exp(j.value)) FROM json_each(k.top) j), 0) AS remainder,
       s.id AS sample
FROM token_logprobs k
JOIN samples s ON s.id = k.sample
JOIN evaluations e ON e.id = s.evaluation
JOIN models m ON m.id = e.model
JOIN tasks t ON t.id = e.task;

-- One row for each token that two models both scored behind the same tokens. `kl` is the
-- Kullback-Leibler divergence of B from A over the tokens whose probability both have, and all
-- others as one: never more than the true one. Name both models in the WHERE clause.
CREATE VIEW v_divergence AS
SELECT ma.label AS model_a, mb.label AS model_b, ta.name AS task, ea.num_fewshot AS num_fewshot,
       sa.doc_id AS doc_id, ka.position AS position, ka.place AS place, ka.token AS token,
       ka.logprob AS logprob_a, kb.logprob AS logprob_b,
       (SELECT sum(exp(la) * (la - lb)) + max(1 - sum(exp(la)), 1e-9)
               * ln(max(1 - sum(exp(la)), 1e-9) / max(1 - sum(exp(lb)), 1e-9))
        FROM (SELECT ja.value AS la, jb.value AS lb
              FROM json_each(ka.top) ja JOIN json_each(kb.top) jb ON jb.key = ja.key
              WHERE ja.key <> CAST(ka.token AS TEXT)
              UNION ALL SELECT ka.logprob, kb.logprob)) AS kl,
       (SELECT key FROM json_each(ka.top) LIMIT 1) = (SELECT key FROM json_each(kb.top) LIMIT 1)
           AS same_top,
       exp(kb.logprob) - exp(ka.logprob) AS probability_change,
       ea.id AS evaluation_a, eb.id AS evaluation_b
FROM token_logprobs ka
JOIN samples sa ON sa.id = ka.sample
JOIN evaluations ea ON ea.id = sa.evaluation
JOIN models ma ON ma.id = ea.model
JOIN tasks ta ON ta.id = ea.task
JOIN models mb
JOIN evaluations eb ON eb.model = mb.id AND eb.id <> ea.id
JOIN tasks tb ON tb.id = eb.task AND tb.name = ta.name
JOIN samples sb ON sb.evaluation = eb.id AND sb.doc_id = sa.doc_id AND sb.doc = sa.doc
JOIN requests ra ON ra.sample = sa.id AND ra.position = ka.position
JOIN requests rb ON rb.sample = sb.id AND rb.position = ka.position
                AND rb.prompt_tokens IS ra.prompt_tokens AND rb.tokens IS ra.tokens
JOIN token_logprobs kb ON kb.sample = sb.id AND kb.position = ka.position AND kb.place = ka.place;

-- One row for each model, with what it took in the last run that measured it.
CREATE VIEW v_models AS
SELECT m.label AS model, m.path AS path, m.format AS format, m.quant AS quant,
       m.numerics AS numerics, m.n_params AS n_params, m.max_length AS max_length,
       (SELECT c.stored_bytes FROM run_models c WHERE c.model = m.id AND c.stored_bytes IS NOT NULL
        ORDER BY c.run DESC LIMIT 1) AS stored_bytes,
       (SELECT c.held_bytes FROM run_models c WHERE c.model = m.id AND c.held_bytes IS NOT NULL
        ORDER BY c.run DESC LIMIT 1) AS held_bytes,
       (SELECT c.prefill FROM run_models c WHERE c.model = m.id AND c.prefill IS NOT NULL
        ORDER BY c.run DESC LIMIT 1) AS prefill,
       (SELECT c.decode FROM run_models c WHERE c.model = m.id AND c.decode IS NOT NULL
        ORDER BY c.run DESC LIMIT 1) AS decode,
       m.id AS id
FROM models m
WHERE EXISTS (SELECT 1 FROM evaluations e WHERE e.model = m.id);

-- One row for each token that two models read side by side (--divergence): v_divergence with the
-- exact divergence, over the whole vocabulary. Name both models in the WHERE clause.
CREATE VIEW v_exact_divergence AS
SELECT ma.label AS model_a, mb.label AS model_b, t.name AS task, ea.num_fewshot AS num_fewshot,
       sa.doc_id AS doc_id, k.position AS position, k.place AS place, k.token AS token,
       k.logprob_a AS logprob_a, k.logprob_b AS logprob_b, k.kl AS kl, k.same_top AS same_top,
       exp(k.logprob_b) - exp(k.logprob_a) AS probability_change,
       ea.id AS evaluation_a, eb.id AS evaluation_b
FROM token_divergences k
JOIN divergences d ON d.id = k.divergence
JOIN samples sa ON sa.id = d.sample_a
JOIN evaluations ea ON ea.id = sa.evaluation
JOIN models ma ON ma.id = ea.model
JOIN tasks t ON t.id = ea.task
JOIN samples sb ON sb.id = d.sample_b
JOIN evaluations eb ON eb.id = sb.evaluation
JOIN models mb ON mb.id = eb.model;

-- A group's leaderboard_mean, benchmark by benchmark: where a task was evaluated in several
-- settings, the mean of them stands for it. n_terms tells whether all of the terms are there.
CREATE VIEW v_leaderboard AS
SELECT t.model AS model, t.grp AS grp, t.benchmark AS benchmark,
       max(0.0, sum(CASE t.weight_by_size
                    WHEN 1 THEN (t.value - t.baseline) / (1 - t.baseline) * t.n
                    ELSE max(0.0, (t.value - t.baseline) / (1 - t.baseline)) END)
           / sum(CASE t.weight_by_size WHEN 1 THEN t.n ELSE 1 END)) AS value,
       sum(t.n) AS n, count(*) AS n_terms
FROM (SELECT v.model AS model, g.name AS grp, gt.position, gt.benchmark AS benchmark,
             gt.baseline AS baseline, gt.weight_by_size AS weight_by_size,
             avg(v.value) AS value, max(v.n) AS n
      FROM groups g
      JOIN group_terms gt ON gt.grp = g.id
      JOIN v_scores v ON v.task = gt.task AND v.metric = gt.metric AND v.filter = gt.filter
      GROUP BY v.model, g.name, gt.position) t
GROUP BY t.model, t.grp, t.benchmark;

-- One row for each model, group and metric: the mean over the group's tasks; and its
-- leaderboard_mean, where all of the terms are there.
CREATE VIEW v_groups AS
SELECT v.model AS model, g.name AS grp, v.num_fewshot AS num_fewshot, v.metric AS metric,
       v.filter AS filter,
       sum(v.value * CASE ga.weight_by_size WHEN 1 THEN v.n ELSE 1 END)
           / sum(CASE ga.weight_by_size WHEN 1 THEN v.n ELSE 1 END) AS value,
       sum(v.n) AS n, count(*) AS n_tasks
FROM groups g
JOIN group_aggregates ga ON ga.grp = g.id
JOIN group_members gm ON gm.grp = g.id
JOIN v_scores v ON v.task = gm.task AND v.metric = ga.metric
GROUP BY v.model, g.name, v.num_fewshot, v.metric, v.filter
UNION ALL
SELECT l.model, l.grp, NULL, 'leaderboard_mean', 'none', avg(l.value), sum(l.n), sum(l.n_terms)
FROM v_leaderboard l
GROUP BY l.model, l.grp
HAVING sum(l.n_terms) = (SELECT count(*) FROM group_terms gt JOIN groups g ON g.id = gt.grp
                         WHERE g.name = l.grp);

-- One row for each task that a run could not ask a model, the last run first.
CREATE VIEW v_failures AS
SELECT f.run AS run, r.started AS started, f.model AS model, f.task AS task, f.error AS error
FROM run_failures f
JOIN runs r ON r.id = f.run
ORDER BY f.run DESC;
