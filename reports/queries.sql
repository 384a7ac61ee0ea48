-- Where the numbers of report.html come from, in DuckDB's SQL: in the folder of a run, `duckdb < queries.sql` gives them
-- all again; reports.tables.sql asks anything else of the views. Times are nanoseconds since the Unix epoch.

CREATE OR REPLACE VIEW events AS -- one a happening; what other keys an event has stays in the file
SELECT * FROM read_json('events.jsonl', format = 'newline_delimited', ignore_errors = true, columns = {
    at_ns: 'BIGINT', event: 'VARCHAR', phase: 'VARCHAR', state: 'VARCHAR', fault_id: 'VARCHAR', kind: 'VARCHAR',
    target: 'VARCHAR', node: 'VARCHAR', role: 'VARCHAR', epoch: 'BIGINT', nodes: 'JSON'});

CREATE OR REPLACE VIEW phases AS
SELECT phase, min(at_ns) FILTER (state = 'started') AS start_ns,
    coalesce(max(at_ns) FILTER (state = 'ended'), (SELECT max(at_ns) FROM events)) AS end_ns
FROM events WHERE event = 'phase' GROUP BY phase;

CREATE OR REPLACE VIEW operations AS -- errored: the platform gave no good answer; a refusal on the merits (4xx) is one
SELECT *, outcome <> 'ok' AND (outcome = 'unknown' OR http_status IS NULL OR http_status = 429 OR http_status >= 500)
    AS errored
FROM 'operations.parquet';

CREATE OR REPLACE VIEW measured AS -- the load's operations that were meant to start in the measured phase
SELECT operations.* FROM operations, phases
WHERE phase = 'measure' AND source = 'load' AND intended_ns >= start_ns AND intended_ns < end_ns;

CREATE OR REPLACE VIEW acknowledged AS -- when the load's orders were
SELECT done_ns AS at_ns FROM operations
WHERE source = 'load' AND kind = 'place' AND outcome = 'ok' AND done_ns IS NOT NULL;

CREATE OR REPLACE VIEW faults AS -- that were injected; began_ns: when one was first being applied
SELECT fault_id, max(kind) AS kind, max(target) AS target,
    least(max(at_ns) FILTER (state = 'planned'), max(at_ns) FILTER (state = 'injected')) AS began_ns,
    max(at_ns) FILTER (state = 'undone') AS undone_ns
FROM events WHERE event = 'fault' GROUP BY fault_id HAVING bool_or(state = 'injected');

CREATE OR REPLACE VIEW outages AS -- a fault's longest span without an acknowledged order; its window settles for 2 s
WITH offered AS (SELECT max(intended_ns) AS last_ns FROM operations WHERE source = 'load' AND kind = 'place'),
    spans AS (
        SELECT *, 2_000_000_000 + coalesce(undone_ns, (SELECT min(at_ns) FROM acknowledged WHERE at_ns > began_ns),
            greatest(last_ns, began_ns)) AS settled_ns
        FROM faults, offered),
    moments AS (
        SELECT fault_id, at_ns FROM spans, acknowledged
        UNION ALL SELECT fault_id, least(began_ns, (SELECT min(at_ns) FROM acknowledged)) FROM spans
        UNION ALL SELECT fault_id, greatest(began_ns, last_ns, (SELECT max(at_ns) FROM acknowledged)) FROM spans),
    gaps AS (
        SELECT fault_id, lag(at_ns) OVER (PARTITION BY fault_id ORDER BY at_ns) AS last_before_ns, at_ns AS first_after_ns
        FROM moments),
    longest AS (
        SELECT fault_id, arg_max(last_before_ns, first_after_ns - last_before_ns) AS last_before_ns,
            arg_max(first_after_ns, first_after_ns - last_before_ns) AS first_after_ns
        FROM gaps JOIN spans USING (fault_id)
        WHERE first_after_ns > began_ns AND last_before_ns < settled_ns GROUP BY fault_id)
SELECT fault_id, kind, target, (first_after_ns - last_before_ns) / 1e6 AS outage_ms, last_before_ns, first_after_ns,
    began_ns AS window_start_ns, greatest(settled_ns, first_after_ns + 2_000_000_000) AS window_end_ns
FROM spans JOIN longest USING (fault_id);

CREATE OR REPLACE VIEW answered AS -- whose time a client felt; one never answered lasts as long as the record
SELECT measured.*, (coalesce(done_ns, last_ns) - intended_ns) / 1e6 AS response_ms,
    (coalesce(done_ns, last_ns) - sent_ns) / 1e6 AS service_ms,
    EXISTS (FROM outages WHERE intended_ns <= window_end_ns
        AND coalesce(done_ns, intended_ns + 2_000_000_000) >= window_start_ns) AS near_fault
FROM measured, (SELECT max(coalesce(done_ns, intended_ns)) AS last_ns FROM operations)
WHERE sent_ns IS NOT NULL AND NOT (errored AND outcome <> 'unknown');

-- name: orders_acknowledged
SELECT count(*) FROM operations WHERE kind = 'place' AND outcome = 'ok';

-- name: lost_doubled_unknown
SELECT max((figures->>'lost')::INT) AS lost, max((figures->>'doubled')::INT) AS doubled, max((figures->>'unknown')::INT) AS unknown
FROM read_json('checks.json', columns = {figures: 'JSON'}); -- each is counted by one check

-- name: rate_offered_achieved
SELECT count(*) / seconds AS offered, count(*) FILTER (sent_ns < end_ns) / seconds AS achieved
FROM measured, (SELECT end_ns, (end_ns - start_ns) / 1e9 AS seconds FROM phases WHERE phase = 'measure')
WHERE NOT starts_with(coalesce(answer, ''), 'the load''s worker was lost') GROUP BY seconds;

-- name: order_p50_p99
SELECT quantile_disc(response_ms, [0.5, 0.99]) FROM answered WHERE kind = 'place' AND NOT near_fault;

-- name: outage
SELECT fault_id, kind, target, outage_ms, last_before_ns, first_after_ns FROM outages ORDER BY window_start_ns;

-- name: objectives
SELECT unnest(objectives, recursive := true) FROM read_json('verdict.json', columns = {objectives: 'STRUCT(objective
    VARCHAR, bound DOUBLE, unit VARCHAR, outcome VARCHAR, measured DOUBLE, low DOUBLE, high DOUBLE)[]'});

-- name: errors
SELECT count(*) FILTER (errored) AS errors, count(*) AS sent FROM measured WHERE kind = 'place' AND sent_ns IS NOT NULL;

-- name: latency
SELECT kind, near_fault, count(*) AS samples, quantile_disc(response_ms, [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]) AS response,
    quantile_disc(service_ms, [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]) AS service, max(response_ms), max(service_ms)
FROM answered GROUP BY kind, near_fault ORDER BY kind, near_fault;

-- name: latency_by_node
SELECT kind, coalesce((SELECT max(nodes->>endpoint) FROM events WHERE event = 'load_links'), endpoint) AS node,
    count(*) AS samples, quantile_disc(response_ms, [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]), max(response_ms)
FROM answered WHERE NOT near_fault AND endpoint <> '' GROUP BY kind, endpoint ORDER BY kind, endpoint;

-- name: latency_by_phase
SELECT operations.kind, phase, count(*) AS samples,
    quantile_disc((done_ns - intended_ns) / 1e6, [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]), max(done_ns - intended_ns) / 1e6
FROM operations JOIN phases ON intended_ns >= start_ns AND intended_ns < end_ns
WHERE source = 'load' AND done_ns IS NOT NULL AND NOT errored GROUP BY operations.kind, phase ORDER BY operations.kind, phase;

-- name: orders_over_time
SELECT intended_ns, done_ns, (done_ns - intended_ns) / 1e6 AS response_ms, outcome
FROM operations WHERE source = 'load' AND kind = 'place' AND sent_ns IS NOT NULL ORDER BY intended_ns;

-- name: heat
SELECT floor((intended_ns - start_ns) / 1e9) AS second, -- bins of the map may be of another width
    pow(10, floor(12 * log10((done_ns - intended_ns) / 1e6)) / 12) AS from_ms, count(*) AS orders
FROM operations, phases WHERE phase = 'measure' AND source = 'load' AND kind = 'place' AND sent_ns IS NOT NULL AND done_ns IS NOT NULL
GROUP BY ALL ORDER BY ALL;

-- name: rate_over_time
WITH moments AS (
    SELECT 'offered' AS series, intended_ns AS at_ns FROM operations WHERE source = 'load'
    UNION ALL SELECT 'sent', sent_ns FROM operations WHERE source = 'load' AND sent_ns IS NOT NULL
    UNION ALL SELECT 'orders acknowledged', at_ns FROM acknowledged)
SELECT series, floor((at_ns - start_ns) / 1e9) AS second, count(*) -- bins of the chart may be of another width
FROM moments, phases WHERE phase = 'measure' GROUP BY ALL ORDER BY ALL;

-- name: happenings
SELECT at_ns, event, phase, fault_id, kind, target, state, node, role, epoch FROM events
WHERE event IN ('phase', 'fault', 'role_changed', 'node_exited') ORDER BY at_ns;

-- name: slower_than
SELECT near_fault, response_ms, 100 * count(*) OVER (PARTITION BY near_fault ORDER BY response_ms DESC)
    / count(*) OVER (PARTITION BY near_fault) AS percent_at_least
FROM answered WHERE kind = 'place' ORDER BY ALL;

-- name: checks
SELECT name, verdict, summary FROM read_json('checks.json', columns = {name: 'VARCHAR', verdict: 'VARCHAR', summary: 'VARCHAR'});

-- name: nodes
SELECT node, metric, at_ns, value FROM 'metrics.parquet' WHERE metric IN ('cpu_percent', 'rss_bytes') ORDER BY at_ns;
