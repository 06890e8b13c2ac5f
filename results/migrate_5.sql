-- migrate_5.sql: from version 4 to 5: what a model took, and how far a model moved from its base,
-- token by token. See schema.sql.

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

PRAGMA user_version = 5;
