-- migrate_2.sql: from version 1 to 2: the scored tokens one by one and what two models make of
-- them; evaluations that score another's responses again. See schema.sql.

ALTER TABLE evaluations ADD COLUMN source INTEGER REFERENCES evaluations ON DELETE SET NULL;

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

PRAGMA user_version = 2;
