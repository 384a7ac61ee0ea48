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

CREATE OR REPLACE VIEW operations AS -- errored: the platform gave no good answer; a refusal on the merits is one
SELECT *, outcome <> 'ok' AND NOT refused AS errored
FROM (SELECT *, outcome = 'fail' AND http_status IS NOT NULL AND CASE kind WHEN 'place' THEN http_status IN (403, 422)
        WHEN 'replace' THEN http_status IN (403, 404, 422) WHEN 'cancel' THEN http_status IN (404, 422)
        ELSE kind IN ('lookup', 'positions') AND http_status = 404 END AS refused
    FROM 'operations.parquet');

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

CREATE OR REPLACE VIEW answered AS -- whose time a client felt; one never answered, or never sent for others' sake, lasts as long as the record
SELECT measured.*, (coalesce(done_ns, last_ns) - intended_ns) / 1e6 AS response_ms,
    (coalesce(done_ns, last_ns) - coalesce(sent_ns, intended_ns)) / 1e6 AS service_ms,
    EXISTS (FROM outages WHERE intended_ns <= window_end_ns
        AND coalesce(done_ns, intended_ns + 2_000_000_000) >= window_start_ns) AS near_fault
FROM measured, (SELECT max(coalesce(done_ns, intended_ns)) AS last_ns FROM operations)
WHERE CASE WHEN sent_ns IS NULL THEN answer = 'generator full' ELSE outcome = 'unknown' OR NOT errored END;

CREATE OR REPLACE VIEW usual_gap AS -- the longest span without an acknowledged order outside the windows of faults
SELECT max(at_ns - before_ns) / 1e6 AS usual_ms
FROM (SELECT at_ns, lag(at_ns) OVER (ORDER BY at_ns) AS before_ns FROM acknowledged) gap
WHERE NOT EXISTS (FROM outages WHERE gap.at_ns >= window_start_ns AND gap.before_ns <= window_end_ns);

CREATE OR REPLACE VIEW waiting AS -- how many of the load's orders waited for their answer, from each of these moments on
WITH steps AS (
    SELECT intended_ns AS at_ns, 1 AS step FROM operations WHERE source = 'load' AND kind = 'place' AND done_ns IS NOT NULL
    UNION ALL SELECT done_ns, -1 FROM operations WHERE source = 'load' AND kind = 'place' AND done_ns IS NOT NULL)
SELECT at_ns, sum(step) OVER (ORDER BY at_ns, step DESC ROWS UNBOUNDED PRECEDING) AS orders,
    EXISTS (FROM outages WHERE at_ns BETWEEN window_start_ns AND window_end_ns) AS near_fault
FROM steps;

CREATE OR REPLACE VIEW sampled AS -- the metrics of the measured phase
SELECT metrics.* FROM 'metrics.parquet' metrics, phases WHERE phase = 'measure' AND at_ns BETWEEN start_ns AND end_ns;

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

-- name: usual_gap
FROM usual_gap;

-- name: recovery
WITH spans AS (
    SELECT *, window_start_ns AS began_ns,
        lead(window_start_ns, 1, (SELECT max(at_ns) + 1 FROM events)) OVER (ORDER BY window_start_ns) AS next_ns
    FROM outages),
first_good AS (
    SELECT spans.*, CASE WHEN outage_ms <= coalesce(usual_ms, 0) THEN (SELECT min(at_ns) FROM acknowledged WHERE at_ns > began_ns)
        WHEN first_after_ns <= (SELECT max(at_ns) FROM acknowledged) THEN first_after_ns END AS good_ns
    FROM spans, usual_gap),
noticed AS (
    SELECT spans.fault_id, min(at_ns) AS noticed_ns,
        min(at_ns) FILTER (event = 'role_changed' AND role IN ('active', 'primary')) AS taken_over_ns
    FROM spans JOIN events ON at_ns >= began_ns AND at_ns < next_ns
    WHERE event IN ('role_changed', 'sync_set_shrunk', 'sync_set_grown', 'supervisor_step') GROUP BY spans.fault_id),
drained AS (
    SELECT fault_id, min(at_ns) AS drained_ns
    FROM first_good, waiting, (SELECT coalesce(quantile_cont(orders::DOUBLE, 0.99), 0) AS usual FROM waiting WHERE NOT near_fault)
    WHERE at_ns >= good_ns AND orders <= usual GROUP BY fault_id)
SELECT fault_id, (noticed_ns - began_ns) / 1e6 AS noticed_ms, (taken_over_ns - began_ns) / 1e6 AS taken_over_ms,
    (good_ns - began_ns) / 1e6 AS first_good_ms, (drained_ns - began_ns) / 1e6 AS drained_ms
FROM first_good LEFT JOIN noticed USING (fault_id) LEFT JOIN drained USING (fault_id) ORDER BY began_ns;

-- name: feed
SELECT quality->>'subscribers' AS subscribers, quality->>'received' AS received, quality->>'reach' AS reach,
    quality->>'gaps' AS gaps, quality->>'missed' AS missed, quality->>'breaks' AS breaks,
    coalesce(quality->>'unserved', '0') AS unserved, quality->'staleness_ms' AS staleness_ms,
    quality->'first_book_ms' AS first_book_ms, quality->'slow' AS slow
FROM (SELECT filename, content::JSON AS quality FROM read_text('*.json')) -- of each process with subscribers, by itself
WHERE contains(filename, 'feed_quality') ORDER BY filename;

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
SELECT -- what the check of this name in scenarios.checks found in the record
    name, verdict, summary FROM read_json('checks.json', columns = {name: 'VARCHAR', verdict: 'VARCHAR', summary: 'VARCHAR'});

-- name: validity_phases
SELECT phase, start_ns, (end_ns - start_ns) / 1e9 AS seconds FROM phases ORDER BY start_ns;

-- name: validity_record
SELECT parse_filename(filename) AS part, size AS bytes FROM read_blob(['*.parquet', '*.json', '*.jsonl']) ORDER BY part;

-- name: validity_warm_up
SELECT (SELECT count(*) FROM acknowledged WHERE at_ns < start_ns) AS acknowledged_before,
    quantile_cont(response_ms, 0.5) FILTER (intended_ns < goes_on_ns) AS begins_ms,
    quantile_cont(response_ms, 0.5) FILTER (intended_ns >= goes_on_ns) AS goes_on_ms
FROM answered, (SELECT *, start_ns + round(0.2 * (end_ns - start_ns)) AS goes_on_ns FROM phases WHERE phase = 'measure')
WHERE kind = 'place' AND NOT near_fault GROUP BY start_ns;

-- name: validity_schedule
SELECT count(*) FILTER (sent_ns < end_ns) AS sent, count(*) AS intended, quantile_disc(late_ms, 0.99) AS late_p99_ms,
    avg((late_ms > 50)::INT) AS late_share
FROM (SELECT *, (coalesce(sent_ns, end_ns) - intended_ns) / 1e6 AS late_ms FROM measured,
    (SELECT end_ns FROM phases WHERE phase = 'measure') WHERE NOT starts_with(coalesce(answer, ''), 'the load''s worker was lost'));

-- name: validity_offered
SELECT count(*) AS intended, coalesce(max(intended_ns - before_ns), 0) / 1e9 AS longest_pause_s,
    (SELECT count(DISTINCT operation_id) FROM operations WHERE source = 'load') AS recorded, -- in all, also the warm-up
    (SELECT (content::JSON->>'scheduled_operations')::BIGINT FROM read_text('run.json')) AS scheduled
FROM (SELECT intended_ns, lag(intended_ns) OVER (ORDER BY intended_ns) AS before_ns FROM measured);

-- name: validity_workers
SELECT json->>'event' AS event, json->>'node' AS worker, (json->>'clock_offset_ns')::BIGINT / 1e6 AS clock_apart_ms,
    json->>'not_offered' AS not_offered, json->>'unclear' AS unclear
FROM read_ndjson_objects('events.jsonl', ignore_errors = true) WHERE starts_with(json->>'event', 'load_worker');

-- name: validity_generator
SELECT node, avg(value) AS percent_of_a_core, max(value) AS at_most, avg((value >= 90)::INT) AS share_at_a_full_core
FROM sampled WHERE metric = 'cpu_percent' AND starts_with(node, 'load:') GROUP BY node ORDER BY node;

-- name: validity_control
SELECT count(*) AS probes, quantile_cont((done_ns - due_ns) / 1e6, 0.5) AS p50_ms,
    quantile_disc((done_ns - due_ns) / 1e6, 0.99) AS p99_ms, avg((done_ns - due_ns > 50_000_000)::INT) AS slow_share
FROM 'control.parquet', phases WHERE phase = 'measure' AND due_ns >= start_ns AND due_ns < end_ns;

-- name: validity_machine
WITH machine AS (
    SELECT count(*) FILTER (metric = 'busy_percent') AS seconds, avg(value) FILTER (metric = 'busy_percent') AS busy,
        avg(value) FILTER (metric = 'steal_percent') AS steal, avg(value) FILTER (metric = 'load_average') AS load_average
    FROM sampled WHERE node = 'machine'),
run AS (SELECT (content::JSON->'machine'->>'cores')::INT AS cores FROM read_text('run.json')),
own AS (
    SELECT sum(percent) AS percent FROM (
        SELECT sum(value) / greatest(count(*), any_value(seconds)) AS percent
        FROM sampled, machine WHERE metric = 'cpu_percent' GROUP BY node))
SELECT busy / cores AS busy_percent, greatest(0, busy - percent) / cores AS others_percent, steal / cores AS stolen_percent,
    load_average FROM machine, run, own;

-- name: validity_clock
SELECT max(abs(ms - before_ms)) AS longest_step_ms
FROM (SELECT value AS ms, lag(value) OVER (ORDER BY at_ns) AS before_ms FROM sampled
    WHERE node = 'machine' AND metric = 'clock_drift_ms');

-- name: validity_samples
SELECT count(*) AS orders_answered, avg(refused::INT) AS refused_share FROM answered WHERE kind = 'place';

-- name: validity_faults
SELECT json->>'fault_id' AS fault, bool_or(coalesce((json->'evidence'->>'bit')::BOOL, false)) AS bit,
    max(json->'evidence'->>'summary') AS evidence
FROM read_ndjson_objects('events.jsonl', ignore_errors = true) WHERE json->>'event' = 'fault' GROUP BY fault ORDER BY fault;

-- name: run
FROM read_json('run.json');

-- name: resources
WITH run AS (SELECT (content::JSON->'machine'->>'cores')::INT AS cores FROM read_text('run.json')),
used AS (
    SELECT node AS name, avg(value) / 100 AS cores_used, max(value) / 100 AS at_most,
        CASE WHEN split_part(node, ':', 1) IN ('machine', 'postgres', 'toxiproxy') THEN any_value(cores) ELSE 1 END AS could_use
    FROM sampled, run WHERE metric = 'cpu_percent' OR (metric = 'busy_percent' AND node = 'machine') GROUP BY node),
waited AS (
    SELECT node AS name, avg(value) / 100 AS waited FROM sampled WHERE metric = 'run_queue_wait_percent' GROUP BY node)
SELECT name, cores_used, at_most, could_use, cores_used / could_use AS share, waited
FROM used LEFT JOIN waited USING (name) ORDER BY share DESC, name;

-- name: commits
WITH grown AS (
    SELECT node, metric, at_ns, lag(at_ns) OVER counter AS since_ns, greatest(value - lag(value) OVER counter, 0) AS grown
    FROM sampled WINDOW counter AS (PARTITION BY node, metric, labels ORDER BY at_ns)),
counted AS (
    SELECT node, sum(grown) FILTER (metric = 'engine_commit_seconds_count') AS commits,
        sum(grown) FILTER (metric = 'engine_commit_seconds_sum') AS time_s,
        sum(grown) FILTER (metric = 'engine_batch_commands_sum') AS commands,
        (max(at_ns) FILTER (metric = 'engine_commit_seconds_count' AND grown > 0)
            - min(since_ns) FILTER (metric = 'engine_commit_seconds_count' AND grown > 0)) / 1e9 AS span_s
    FROM grown GROUP BY node),
limits AS (SELECT node, max(value) AS at_most FROM sampled WHERE metric = 'engine_batch_limit_commands' GROUP BY node)
SELECT node, commits / span_s AS per_s, 1_000 * time_s / commits AS mean_ms, time_s / span_s AS busy,
    commands / commits AS commands, at_most, time_s / span_s * commands / commits / at_most AS share
FROM counted JOIN limits USING (node) WHERE commits > 0 ORDER BY node;

-- name: nodes
SELECT node, metric, at_ns, value FROM 'metrics.parquet' WHERE metric IN ('cpu_percent', 'rss_bytes') ORDER BY at_ns;
