-- migrate_4.sql: from version 3 to 4: what the mean of a suite is made of. See schema.sql.

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

DROP VIEW v_groups;

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

PRAGMA user_version = 4;
