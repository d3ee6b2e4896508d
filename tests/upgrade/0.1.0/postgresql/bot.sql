SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA dbos;
CREATE FUNCTION dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, queue_partition_key text DEFAULT NULL::text, authenticated_user text DEFAULT NULL::text, authenticated_roles text DEFAULT NULL::text, delay_until_epoch_ms bigint DEFAULT NULL::bigint, application_name text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_workflow_id TEXT;
    v_serialized_inputs TEXT;
    v_owner_xid TEXT;
    v_now BIGINT;
    v_recovery_attempts INT4 := 0;
    v_priority INT4;
    v_status TEXT;
BEGIN
    -- Validate required parameters
    IF workflow_name IS NULL OR workflow_name = '' THEN
        RAISE EXCEPTION 'Workflow name cannot be null or empty';
    END IF;
    IF queue_name IS NULL OR queue_name = '' THEN
        RAISE EXCEPTION 'Queue name cannot be null or empty';
    END IF;
    IF named_args IS NOT NULL AND jsonb_typeof(named_args::jsonb) != 'object' THEN
        RAISE EXCEPTION 'Named args must be a JSON object';
    END IF;
    IF workflow_id IS NOT NULL AND workflow_id = '' THEN
        RAISE EXCEPTION 'Workflow ID cannot be an empty string if provided.';
    END IF;
    IF delay_until_epoch_ms IS NOT NULL AND delay_until_epoch_ms < 0 THEN
        RAISE EXCEPTION 'delay_until_epoch_ms must be >= 0';
    END IF;
    v_workflow_id := COALESCE(workflow_id, gen_random_uuid()::TEXT);
    v_owner_xid := gen_random_uuid()::TEXT;
    v_priority := COALESCE(priority, 0);
    v_serialized_inputs := json_build_object(
        'positionalArgs', positional_args,
        'namedArgs', named_args
    )::TEXT;
    v_now := EXTRACT(epoch FROM now()) * 1000;
    v_status := CASE WHEN delay_until_epoch_ms IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END;
    INSERT INTO "dbos".workflow_status (
        workflow_uuid, status,
        name, class_name, config_name,
        queue_name, deduplication_id, priority, queue_partition_key,
        application_version,
        created_at, updated_at, recovery_attempts,
        workflow_timeout_ms, workflow_deadline_epoch_ms,
        parent_workflow_id, owner_xid, serialization,
        authenticated_user, authenticated_roles,
        delay_until_epoch_ms, application_name
    ) VALUES (
        v_workflow_id, v_status,
        workflow_name, class_name, config_name,
        queue_name, deduplication_id, v_priority, queue_partition_key,
        app_version,
        v_now, v_now, v_recovery_attempts,
        timeout_ms, deadline_epoch_ms,
        NULL, v_owner_xid, 'portable_json',
        authenticated_user, authenticated_roles,
        delay_until_epoch_ms, application_name
    )
    ON CONFLICT (workflow_uuid)
    DO UPDATE SET
        updated_at = EXCLUDED.updated_at;
    INSERT INTO "dbos".workflow_input (
        workflow_uuid, inputs, retention_timestamp
    ) VALUES (
        v_workflow_id, v_serialized_inputs, v_now
    )
    ON CONFLICT (workflow_uuid) DO NOTHING;
    RETURN v_workflow_id;
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'DBOS queue duplicated'
            USING DETAIL = format('Workflow %s with queue %s and deduplication ID %s already exists', v_workflow_id, queue_name, deduplication_id),
                ERRCODE = 'unique_violation';
END;
$$;
CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    payload text := NEW.destination_uuid || '::' || NEW.topic;
BEGIN
    PERFORM pg_notify('dbos_notifications_channel', payload);
    RETURN NEW;
END;
$$;
CREATE FUNCTION dbos.send_message(destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_topic TEXT := COALESCE(topic, '__null__topic__');
    v_message_id TEXT := COALESCE(message_id, gen_random_uuid()::TEXT);
BEGIN
    INSERT INTO "dbos".notifications (
        destination_uuid, topic, message, message_uuid, serialization
    ) VALUES (
        destination_id, v_topic, message, v_message_id, 'portable_json'
    )
    ON CONFLICT (message_uuid) DO NOTHING;
EXCEPTION
    WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'DBOS non-existent workflow'
            USING DETAIL = format('Destination workflow %s does not exist', destination_id),
                ERRCODE = 'foreign_key_violation';
END;
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text
);
CREATE TABLE dbos.dbos_migrations (
    version bigint NOT NULL
);
CREATE TABLE dbos.event_dispatch_kv (
    service_name text NOT NULL,
    workflow_fn_name text NOT NULL,
    key text NOT NULL,
    value text,
    update_seq numeric(38,0),
    update_time numeric(38,15)
);
CREATE TABLE dbos.notifications (
    message_uuid text DEFAULT gen_random_uuid() NOT NULL,
    destination_uuid text NOT NULL,
    topic text,
    message text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    serialization text,
    consumed boolean DEFAULT false NOT NULL,
    consumed_by_function_id integer
);
CREATE TABLE dbos.operation_outputs (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    function_name text DEFAULT ''::text NOT NULL,
    output text,
    error text,
    child_workflow_id text,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    serialization text,
    application_name text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);
CREATE TABLE dbos.queues (
    queue_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    name text NOT NULL,
    concurrency integer,
    worker_concurrency integer,
    rate_limit_max integer,
    rate_limit_period_sec double precision,
    priority_enabled boolean DEFAULT false NOT NULL,
    partition_queue boolean DEFAULT false NOT NULL,
    polling_interval_sec double precision DEFAULT 1.0 NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text,
    partition_concurrency integer,
    partition_worker_concurrency integer,
    partition_rate_limit_max integer,
    partition_rate_limit_period_sec double precision
);
CREATE TABLE dbos.streams (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    "offset" integer NOT NULL,
    function_id integer DEFAULT 0 NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_events (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_events_history (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_input (
    workflow_uuid text NOT NULL,
    inputs text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);
CREATE TABLE dbos.workflow_output (
    workflow_uuid text NOT NULL,
    output text,
    error text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);
CREATE TABLE dbos.workflow_schedules (
    schedule_id text NOT NULL,
    schedule_name text NOT NULL,
    workflow_name text NOT NULL,
    workflow_class_name text,
    schedule text NOT NULL,
    status text DEFAULT 'ACTIVE'::text NOT NULL,
    context text NOT NULL,
    last_fired_at text,
    automatic_backfill boolean DEFAULT false NOT NULL,
    cron_timezone text,
    queue_name text,
    application_name text
);
CREATE TABLE dbos.workflow_status (
    workflow_uuid text NOT NULL,
    status text,
    name text,
    authenticated_user text,
    assumed_role text,
    authenticated_roles text,
    request text,
    output text,
    error text,
    executor_id text,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_version text,
    application_id text,
    class_name character varying(255) DEFAULT NULL::character varying,
    config_name character varying(255) DEFAULT NULL::character varying,
    recovery_attempts bigint DEFAULT 0,
    queue_name text,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    inputs text,
    started_at_epoch_ms bigint,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL,
    queue_partition_key text,
    forked_from text,
    owner_xid text,
    parent_workflow_id text,
    serialization text,
    delay_until_epoch_ms bigint,
    was_forked_from boolean DEFAULT false NOT NULL,
    rate_limited boolean DEFAULT false NOT NULL,
    completed_at bigint,
    attributes jsonb,
    schedule_name text,
    debounce_deadline_epoch_ms bigint,
    is_debounced boolean DEFAULT false NOT NULL,
    application_name text,
    creator_xid text
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.alerts (
    id integer NOT NULL,
    received_at double precision NOT NULL,
    fingerprint character varying NOT NULL,
    starts_at bigint NOT NULL,
    status character varying NOT NULL,
    ends_at bigint,
    service character varying NOT NULL,
    labels character varying NOT NULL,
    annotations character varying NOT NULL,
    group_key character varying NOT NULL,
    verdict character varying,
    incident integer
);
CREATE SEQUENCE public.alerts_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.alerts_id_seq OWNED BY public.alerts.id;
CREATE TABLE public.audit (
    id integer NOT NULL,
    at double precision NOT NULL,
    actor character varying NOT NULL,
    door character varying NOT NULL,
    action character varying NOT NULL,
    subject character varying NOT NULL,
    detail character varying NOT NULL,
    before character varying NOT NULL,
    seal character varying NOT NULL
);
CREATE SEQUENCE public.audit_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.effects (
    key character varying NOT NULL,
    kind character varying NOT NULL,
    lane character varying NOT NULL,
    about integer,
    args character varying NOT NULL,
    urgency integer NOT NULL,
    after character varying,
    state character varying NOT NULL,
    attempt integer NOT NULL,
    tried integer NOT NULL,
    tried_at double precision,
    due_at double precision NOT NULL,
    created_at double precision NOT NULL,
    done_at double precision,
    took_ms double precision,
    reason character varying NOT NULL,
    result character varying NOT NULL
);
CREATE TABLE public.inbox (
    key character varying NOT NULL,
    received_at double precision NOT NULL,
    kind character varying NOT NULL,
    payload character varying NOT NULL,
    done_at double precision
);
CREATE TABLE public.incidents (
    number integer NOT NULL,
    uid character varying NOT NULL,
    key character varying NOT NULL,
    open_key character varying,
    service character varying NOT NULL,
    environment character varying NOT NULL,
    severity character varying NOT NULL,
    title character varying NOT NULL,
    status character varying NOT NULL,
    source character varying NOT NULL,
    about character varying NOT NULL,
    opened_at double precision NOT NULL,
    opened_by character varying NOT NULL,
    paged_at double precision,
    acked_at double precision,
    acked_by character varying NOT NULL,
    resolved_at double precision,
    resolved_by character varying NOT NULL,
    channel character varying NOT NULL,
    thread_ts character varying NOT NULL,
    ticket_key character varying NOT NULL,
    ticket_url character varying NOT NULL,
    checks character varying NOT NULL,
    panel integer NOT NULL,
    panel_owed boolean NOT NULL
);
CREATE SEQUENCE public.incidents_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.incidents_number_seq OWNED BY public.incidents.number;
CREATE TABLE public.replicas (
    id character varying NOT NULL,
    seen double precision NOT NULL
);
CREATE TABLE public.timeline (
    id integer NOT NULL,
    incident integer NOT NULL,
    at double precision NOT NULL,
    kind character varying NOT NULL,
    actor character varying NOT NULL,
    text character varying NOT NULL
);
CREATE SEQUENCE public.timeline_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.timeline_id_seq OWNED BY public.timeline.id;
ALTER TABLE ONLY public.alerts ALTER COLUMN id SET DEFAULT nextval('public.alerts_id_seq'::regclass);
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.incidents ALTER COLUMN number SET DEFAULT nextval('public.incidents_number_seq'::regclass);
ALTER TABLE ONLY public.timeline ALTER COLUMN id SET DEFAULT nextval('public.timeline_id_seq'::regclass);
INSERT INTO dbos.application_versions VALUES ('bc2c20c8-52c3-4d1a-99ad-68aca5215db4', '1', 1795635290763, 1795635290763, 'release-captain');
INSERT INTO dbos.dbos_migrations VALUES (125);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:page#1', 1, 'try', '{"state":"done","lane":"pagerduty","urgency":2,"due":1795635291.130855}', NULL, NULL, 1795635291088, 1795635291162, 'portable_json', 'release-captain', 1795635291166);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:root#1', 1, 'try', '{"state":"done","lane":"slack","urgency":3,"due":1795635291.1357546}', NULL, NULL, 1795635291085, 1795635291167, 'portable_json', 'release-captain', 1795635291168);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:ticket#1', 1, 'try', '{"state":"done","lane":"jira","urgency":3,"due":1795635291.145014}', NULL, NULL, 1795635291084, 1795635291187, 'portable_json', 'release-captain', 1795635291213);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:panel:1#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.2616663}', NULL, NULL, 1795635291204, 1795635291270, 'portable_json', 'release-captain', 1795635291273);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:page-resolve#1', 1, 'try', '{"state":"done","lane":"pagerduty","urgency":2,"due":1795635291.2471943}', NULL, NULL, 1795635291179, 1795635291265, 'portable_json', 'release-captain', 1795635291266);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:note:resolved#1', 1, 'try', '{"state":"done","lane":"slack","urgency":4,"due":1795635291.2678938}', NULL, NULL, 1795635291211, 1795635291278, 'portable_json', 'release-captain', 1795635291283);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:checks#1', 1, 'try', '{"state":"done","lane":"checks","urgency":3,"due":1795635291.2685294}', NULL, NULL, 1795635291105, 1795635291297, 'portable_json', 'release-captain', 1795635291299);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:ticket-done#1', 1, 'try', '{"state":"done","lane":"jira","urgency":4,"due":1795635291.3269522}', NULL, NULL, 1795635291248, 1795635291330, 'portable_json', 'release-captain', 1795635291334);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:note:checks#1', 1, 'try', '{"state":"done","lane":"slack","urgency":4,"due":1795635291.3254497}', NULL, NULL, 1795635291305, 1795635291334, 'portable_json', 'release-captain', 1795635291337);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:panel:2#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.337116}', NULL, NULL, 1795635291305, 1795635291348, 'portable_json', 'release-captain', 1795635291350);
INSERT INTO dbos.operation_outputs VALUES ('e49da183fd759dba:panel:3#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.402409}', NULL, NULL, 1795635291379, 1795635291404, 'portable_json', 'release-captain', 1795635291405);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:page#1', 1, 'try', '{"state":"done","lane":"pagerduty","urgency":2,"due":1795635291.4559574}', NULL, NULL, 1795635291443, 1795635291464, 'portable_json', 'release-captain', 1795635291465);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:root#1', 1, 'try', '{"state":"done","lane":"slack","urgency":3,"due":1795635291.47124}', NULL, NULL, 1795635291460, 1795635291483, 'portable_json', 'release-captain', 1795635291484);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:checks#1', 1, 'try', '{"state":"done","lane":"checks","urgency":3,"due":1795635291.5132275}', NULL, NULL, 1795635291449, 1795635291518, 'portable_json', 'release-captain', 1795635291524);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:ticket#1', 1, 'try', '{"state":"done","lane":"jira","urgency":3,"due":1795635291.5120487}', NULL, NULL, 1795635291452, 1795635291529, 'portable_json', 'release-captain', 1795635291534);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:note:checks#1', 1, 'try', '{"state":"done","lane":"slack","urgency":4,"due":1795635291.531331}', NULL, NULL, 1795635291522, 1795635291536, 'portable_json', 'release-captain', 1795635291537);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:panel:1#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.5358078}', NULL, NULL, 1795635291513, 1795635291538, 'portable_json', 'release-captain', 1795635291539);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:note:acknowledged#1', 1, 'try', '{"state":"done","lane":"slack","urgency":4,"due":1795635291.6323323}', NULL, NULL, 1795635291600, 1795635291635, 'portable_json', 'release-captain', 1795635291636);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:panel:2#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.648846}', NULL, NULL, 1795635291625, 1795635291655, 'portable_json', 'release-captain', 1795635291656);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:page-ack#1', 1, 'try', '{"state":"done","lane":"pagerduty","urgency":2,"due":1795635291.63151}', NULL, NULL, 1795635291613, 1795635291684, 'portable_json', 'release-captain', 1795635291692);
INSERT INTO dbos.operation_outputs VALUES ('74483b01dce85baf:page#1', 1, 'try', '{"state":"done","lane":"pagerduty","urgency":2,"due":1795635291.6538434}', NULL, NULL, 1795635291613, 1795635291703, 'portable_json', 'release-captain', 1795635291706);
INSERT INTO dbos.operation_outputs VALUES ('74483b01dce85baf:root#1', 1, 'try', '{"state":"done","lane":"slack","urgency":3,"due":1795635291.6712828}', NULL, NULL, 1795635291640, 1795635291705, 'portable_json', 'release-captain', 1795635291709);
INSERT INTO dbos.operation_outputs VALUES ('74483b01dce85baf:ticket#1', 1, 'try', '{"state":"gave_up","lane":"jira","urgency":3,"due":1795635291.6526992}', NULL, NULL, 1795635291635, 1795635291708, 'portable_json', 'release-captain', 1795635291709);
INSERT INTO dbos.operation_outputs VALUES ('9e50ea0c649a7a91:page#1', 1, 'try', '{"state":"done","lane":"pagerduty","urgency":2,"due":1795635291.7321987}', NULL, NULL, 1795635291619, 1795635291745, 'portable_json', 'release-captain', 1795635291749);
INSERT INTO dbos.operation_outputs VALUES ('9e50ea0c649a7a91:checks#1', 1, 'try', '{"state":"done","lane":"checks","urgency":3,"due":1795635291.7485821}', NULL, NULL, 1795635291644, 1795635291770, 'portable_json', 'release-captain', 1795635291772);
INSERT INTO dbos.operation_outputs VALUES ('3c1d1d0e352117b6:panel:3#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.7679672}', NULL, NULL, 1795635291737, 1795635291773, 'portable_json', 'release-captain', 1795635291775);
INSERT INTO dbos.operation_outputs VALUES ('74483b01dce85baf:panel:1#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.7706466}', NULL, NULL, 1795635291713, 1795635291775, 'portable_json', 'release-captain', 1795635291776);
INSERT INTO dbos.operation_outputs VALUES ('9e50ea0c649a7a91:ticket#1', 1, 'try', '{"state":"done","lane":"jira","urgency":3,"due":1795635291.7533698}', NULL, NULL, 1795635291694, 1795635291777, 'portable_json', 'release-captain', 1795635291779);
INSERT INTO dbos.operation_outputs VALUES ('9e50ea0c649a7a91:root#1', 1, 'try', '{"state":"done","lane":"slack","urgency":3,"due":1795635291.7621605}', NULL, NULL, 1795635291683, 1795635291780, 'portable_json', 'release-captain', 1795635291781);
INSERT INTO dbos.operation_outputs VALUES ('9e50ea0c649a7a91:note:checks#1', 1, 'try', '{"state":"done","lane":"slack","urgency":4,"due":1795635291.7959542}', NULL, NULL, 1795635291787, 1795635291800, 'portable_json', 'release-captain', 1795635291802);
INSERT INTO dbos.operation_outputs VALUES ('9e50ea0c649a7a91:panel:1#1', 1, 'try', '{"state":"done","lane":"slack","urgency":6,"due":1795635291.806082}', NULL, NULL, 1795635291790, 1795635291808, 'portable_json', 'release-captain', 1795635291812);
INSERT INTO dbos.operation_outputs VALUES ('076c7aab19a9719c:checks#1', 1, 'try', '{"state":"done","lane":"checks","urgency":3,"due":1795635291.9086199}', NULL, NULL, 1795635291862, 1795635291918, 'portable_json', 'release-captain', 1795635291919);
INSERT INTO dbos.operation_outputs VALUES ('a7cc1e77bb319d91:page#1', 1, 'try', '{"state":"retrying","lane":"pagerduty","urgency":2,"due":1795635292.234813}', NULL, NULL, 1795635291978, 1795635291994, 'portable_json', 'release-captain', 1795635291996);
INSERT INTO dbos.operation_outputs VALUES ('a7cc1e77bb319d91:checks#1', 1, 'try', '{"state":"done","lane":"checks","urgency":3,"due":1795635292.0422912}', NULL, NULL, 1795635291983, 1795635292046, 'portable_json', 'release-captain', 1795635292047);
INSERT INTO dbos.operation_outputs VALUES ('a7cc1e77bb319d91:page#2', 1, 'try', '{"state":"retrying","lane":"pagerduty","urgency":2,"due":1795635292.8243358}', NULL, NULL, 1795635292237, 1795635292252, 'portable_json', 'release-captain', 1795635292253);
INSERT INTO dbos.queues VALUES ('15052af2-4233-49d1-a009-b967bb0de485', 'cron', NULL, 2, NULL, NULL, true, false, 1, 1795635290799, 1795635290797, 'release-captain', NULL, NULL, NULL, NULL);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:root#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:root",1]}', 1795635291080);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:ticket#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:ticket",1]}', 1795635291079);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:page#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:page",1]}', 1795635291079);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:checks#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:checks",1]}', 1795635291093);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:page-resolve#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:page-resolve",1]}', 1795635291170);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:panel:1#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:panel:1",1]}', 1795635291183);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:note:resolved#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:note:resolved",1]}', 1795635291206);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:ticket-done#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:ticket-done",1]}', 1795635291221);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:note:checks#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:note:checks",1]}', 1795635291302);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:panel:2#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:panel:2",1]}', 1795635291304);
INSERT INTO dbos.workflow_input VALUES ('e49da183fd759dba:panel:3#1', '{"namedArgs":{},"positionalArgs":["e49da183fd759dba:panel:3",1]}', 1795635291379);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:page#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:page",1]}', 1795635291441);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:checks#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:checks",1]}', 1795635291447);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:ticket#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:ticket",1]}', 1795635291449);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:root#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:root",1]}', 1795635291452);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:panel:1#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:panel:1",1]}', 1795635291511);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:note:checks#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:note:checks",1]}', 1795635291521);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:note:acknowledged#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:note:acknowledged",1]}', 1795635291595);
INSERT INTO dbos.workflow_input VALUES ('74483b01dce85baf:page#1', '{"namedArgs":{},"positionalArgs":["74483b01dce85baf:page",1]}', 1795635291610);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:page-ack#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:page-ack",1]}', 1795635291612);
INSERT INTO dbos.workflow_input VALUES ('9e50ea0c649a7a91:page#1', '{"namedArgs":{},"positionalArgs":["9e50ea0c649a7a91:page",1]}', 1795635291615);
INSERT INTO dbos.workflow_input VALUES ('74483b01dce85baf:ticket#1', '{"namedArgs":{},"positionalArgs":["74483b01dce85baf:ticket",1]}', 1795635291621);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:panel:2#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:panel:2",1]}', 1795635291624);
INSERT INTO dbos.workflow_input VALUES ('74483b01dce85baf:root#1', '{"namedArgs":{},"positionalArgs":["74483b01dce85baf:root",1]}', 1795635291634);
INSERT INTO dbos.workflow_input VALUES ('9e50ea0c649a7a91:checks#1', '{"namedArgs":{},"positionalArgs":["9e50ea0c649a7a91:checks",1]}', 1795635291640);
INSERT INTO dbos.workflow_input VALUES ('9e50ea0c649a7a91:root#1', '{"namedArgs":{},"positionalArgs":["9e50ea0c649a7a91:root",1]}', 1795635291677);
INSERT INTO dbos.workflow_input VALUES ('9e50ea0c649a7a91:ticket#1', '{"namedArgs":{},"positionalArgs":["9e50ea0c649a7a91:ticket",1]}', 1795635291692);
INSERT INTO dbos.workflow_input VALUES ('74483b01dce85baf:panel:1#1', '{"namedArgs":{},"positionalArgs":["74483b01dce85baf:panel:1",1]}', 1795635291712);
INSERT INTO dbos.workflow_input VALUES ('3c1d1d0e352117b6:panel:3#1', '{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:panel:3",1]}', 1795635291730);
INSERT INTO dbos.workflow_input VALUES ('9e50ea0c649a7a91:note:checks#1', '{"namedArgs":{},"positionalArgs":["9e50ea0c649a7a91:note:checks",1]}', 1795635291786);
INSERT INTO dbos.workflow_input VALUES ('9e50ea0c649a7a91:panel:1#1', '{"namedArgs":{},"positionalArgs":["9e50ea0c649a7a91:panel:1",1]}', 1795635291786);
INSERT INTO dbos.workflow_input VALUES ('076c7aab19a9719c:page#1', '{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:page",1]}', 1795635291846);
INSERT INTO dbos.workflow_input VALUES ('076c7aab19a9719c:checks#1', '{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:checks",1]}', 1795635291860);
INSERT INTO dbos.workflow_input VALUES ('076c7aab19a9719c:ticket#1', '{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:ticket",1]}', 1795635291860);
INSERT INTO dbos.workflow_input VALUES ('076c7aab19a9719c:root#1', '{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:root",1]}', 1795635291861);
INSERT INTO dbos.workflow_input VALUES ('a7cc1e77bb319d91:page#1', '{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:page",1]}', 1795635291977);
INSERT INTO dbos.workflow_input VALUES ('a7cc1e77bb319d91:checks#1', '{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:checks",1]}', 1795635291981);
INSERT INTO dbos.workflow_input VALUES ('a7cc1e77bb319d91:root#1', '{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:root",1]}', 1795635291983);
INSERT INTO dbos.workflow_input VALUES ('a7cc1e77bb319d91:ticket#1', '{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:ticket",1]}', 1795635291993);
INSERT INTO dbos.workflow_input VALUES ('a7cc1e77bb319d91:page#2', '{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:page",2]}', 1795635292236);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:root#1', '"done"', NULL, 1795635291194);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:page#1', '"done"', NULL, 1795635291210);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:ticket#1', '"done"', NULL, 1795635291247);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:page-resolve#1', '"done"', NULL, 1795635291285);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:panel:1#1', '"done"', NULL, 1795635291289);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:note:resolved#1', '"done"', NULL, 1795635291293);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:checks#1', '"done"', NULL, 1795635291314);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:ticket-done#1', '"done"', NULL, 1795635291343);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:note:checks#1', '"done"', NULL, 1795635291349);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:panel:2#1', '"done"', NULL, 1795635291359);
INSERT INTO dbos.workflow_output VALUES ('e49da183fd759dba:panel:3#1', '"done"', NULL, 1795635291413);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:page#1', '"done"', NULL, 1795635291472);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:root#1', '"done"', NULL, 1795635291486);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:checks#1', '"done"', NULL, 1795635291529);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:ticket#1', '"done"', NULL, 1795635291538);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:note:checks#1', '"done"', NULL, 1795635291541);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:panel:1#1', '"done"', NULL, 1795635291542);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:note:acknowledged#1', '"done"', NULL, 1795635291674);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:panel:2#1', '"done"', NULL, 1795635291691);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:page-ack#1', '"done"', NULL, 1795635291702);
INSERT INTO dbos.workflow_output VALUES ('74483b01dce85baf:ticket#1', '"gave_up"', NULL, 1795635291712);
INSERT INTO dbos.workflow_output VALUES ('74483b01dce85baf:page#1', '"done"', NULL, 1795635291717);
INSERT INTO dbos.workflow_output VALUES ('74483b01dce85baf:root#1', '"done"', NULL, 1795635291731);
INSERT INTO dbos.workflow_output VALUES ('9e50ea0c649a7a91:page#1', '"done"', NULL, 1795635291760);
INSERT INTO dbos.workflow_output VALUES ('9e50ea0c649a7a91:checks#1', '"done"', NULL, 1795635291775);
INSERT INTO dbos.workflow_output VALUES ('3c1d1d0e352117b6:panel:3#1', '"done"', NULL, 1795635291782);
INSERT INTO dbos.workflow_output VALUES ('74483b01dce85baf:panel:1#1', '"done"', NULL, 1795635291782);
INSERT INTO dbos.workflow_output VALUES ('9e50ea0c649a7a91:ticket#1', '"done"', NULL, 1795635291784);
INSERT INTO dbos.workflow_output VALUES ('9e50ea0c649a7a91:root#1', '"done"', NULL, 1795635291784);
INSERT INTO dbos.workflow_output VALUES ('9e50ea0c649a7a91:note:checks#1', '"done"', NULL, 1795635291809);
INSERT INTO dbos.workflow_output VALUES ('9e50ea0c649a7a91:panel:1#1', '"done"', NULL, 1795635291814);
INSERT INTO dbos.workflow_output VALUES ('076c7aab19a9719c:checks#1', '"done"', NULL, 1795635291921);
INSERT INTO dbos.workflow_output VALUES ('a7cc1e77bb319d91:page#1', '"retrying"', NULL, 1795635292012);
INSERT INTO dbos.workflow_output VALUES ('a7cc1e77bb319d91:checks#1', '"done"', NULL, 1795635292049);
INSERT INTO dbos.workflow_output VALUES ('a7cc1e77bb319d91:page#2', '"retrying"', NULL, 1795635292255);
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:root#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291080, 1795635291194, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291194, 'null', NULL, NULL, false, 'release-captain', 'c9e11c29-c6cd-48ed-8db0-b776a6fb95c6');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:page#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291079, 1795635291210, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291210, 'null', NULL, NULL, false, 'release-captain', '069c935f-4dcc-4e92-b4ad-1554c749ac65');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:ticket#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291079, 1795635291247, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291247, 'null', NULL, NULL, false, 'release-captain', '6760843f-1d6c-41bb-8384-a842d26273f6');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:page-resolve#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291170, 1795635291285, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291285, 'null', NULL, NULL, false, 'release-captain', '645eafc5-84a4-4392-9993-69edfc6e67b4');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:panel:1#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291183, 1795635291289, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291289, 'null', NULL, NULL, false, 'release-captain', '73944c47-3441-4001-8073-8b17e19ba058');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:note:resolved#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291206, 1795635291293, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291293, 'null', NULL, NULL, false, 'release-captain', 'c27562c8-b3f3-4a3a-bf5a-1345f5fff808');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291093, 1795635291314, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291314, 'null', NULL, NULL, false, 'release-captain', 'e7b4008b-7e1f-4cb0-adea-6da1d630c83a');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:ticket-done#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291221, 1795635291343, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291343, 'null', NULL, NULL, false, 'release-captain', '9e186155-4077-42b5-915d-0f52786a78c7');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:note:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291302, 1795635291349, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291349, 'null', NULL, NULL, false, 'release-captain', '8aec6ead-597c-4e91-bcbb-2d4fe550d071');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:panel:2#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291304, 1795635291359, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291359, 'null', NULL, NULL, false, 'release-captain', 'ac2347de-54f5-42b8-95fe-c61197bfb6ca');
INSERT INTO dbos.workflow_status VALUES ('e49da183fd759dba:panel:3#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291379, 1795635291413, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291413, 'null', NULL, NULL, false, 'release-captain', 'ec6359a2-5375-432b-b6f2-0de73590dc7e');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:page#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291441, 1795635291472, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291472, 'null', NULL, NULL, false, 'release-captain', 'f13ab469-e1e2-4f10-8d10-e58c4a45bf76');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:root#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291452, 1795635291486, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291486, 'null', NULL, NULL, false, 'release-captain', 'e6166336-3ca4-4274-a275-ea6912822413');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291447, 1795635291529, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291529, 'null', NULL, NULL, false, 'release-captain', '252da641-67ca-4913-ae5f-176b45026f1f');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:ticket#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291449, 1795635291538, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291538, 'null', NULL, NULL, false, 'release-captain', '8ee1e242-2661-4e99-9649-a888bc2df1a8');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:note:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291521, 1795635291541, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291541, 'null', NULL, NULL, false, 'release-captain', 'f18fe7f3-1da5-4ecb-8662-41de1011cf97');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:panel:1#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291511, 1795635291542, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291542, 'null', NULL, NULL, false, 'release-captain', 'b2d14253-5ed7-4df2-ad2b-5463046f705e');
INSERT INTO dbos.workflow_status VALUES ('a7cc1e77bb319d91:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291981, 1795635292049, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635292049, 'null', NULL, NULL, false, 'release-captain', 'c5c3ccb1-4193-40d2-8add-00221319680f');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:note:acknowledged#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291595, 1795635291674, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291674, 'null', NULL, NULL, false, 'release-captain', 'd8f2eff0-ea26-47eb-9045-7235fac48175');
INSERT INTO dbos.workflow_status VALUES ('74483b01dce85baf:ticket#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291621, 1795635291712, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291712, 'null', NULL, NULL, false, 'release-captain', '288a91ee-46ca-4b11-a4e4-6cf6120e9a71');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:panel:3#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291730, 1795635291782, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291782, 'null', NULL, NULL, false, 'release-captain', '62ca55a7-7e26-417d-bcc3-e38ff9bdd890');
INSERT INTO dbos.workflow_status VALUES ('9e50ea0c649a7a91:note:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291786, 1795635291809, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291809, 'null', NULL, NULL, false, 'release-captain', 'c5acd5c4-27ca-4629-924b-9d2d49215c0f');
INSERT INTO dbos.workflow_status VALUES ('74483b01dce85baf:page#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291610, 1795635291717, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291717, 'null', NULL, NULL, false, 'release-captain', '4c6c58b3-40ff-47b6-8806-b902d7caf710');
INSERT INTO dbos.workflow_status VALUES ('9e50ea0c649a7a91:panel:1#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291786, 1795635291814, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291814, 'null', NULL, NULL, false, 'release-captain', '9f6f06df-01fe-4b6f-9e8c-4bd30e90cf7b');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:panel:2#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291624, 1795635291691, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291691, 'null', NULL, NULL, false, 'release-captain', 'd00877c2-ad70-4f58-8439-18efc7cf0643');
INSERT INTO dbos.workflow_status VALUES ('3c1d1d0e352117b6:page-ack#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291612, 1795635291702, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291702, 'null', NULL, NULL, false, 'release-captain', '818a1954-31df-44fe-9b24-1dda25536bcc');
INSERT INTO dbos.workflow_status VALUES ('9e50ea0c649a7a91:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291640, 1795635291775, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291775, 'null', NULL, NULL, false, 'release-captain', '04da1cb5-687e-416f-9c24-61ec73c24377');
INSERT INTO dbos.workflow_status VALUES ('076c7aab19a9719c:root#1', 'PENDING', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291861, 1795635291861, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 'b8fb1ce8-9002-4ce5-b8dd-4b29979d6be8', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'release-captain', 'b8fb1ce8-9002-4ce5-b8dd-4b29979d6be8');
INSERT INTO dbos.workflow_status VALUES ('74483b01dce85baf:root#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291634, 1795635291731, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291731, 'null', NULL, NULL, false, 'release-captain', 'bf16b3ce-dde8-4871-b755-828d387ea172');
INSERT INTO dbos.workflow_status VALUES ('9e50ea0c649a7a91:page#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291615, 1795635291760, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291760, 'null', NULL, NULL, false, 'release-captain', '2425add3-2cec-4116-b9e9-d87237fe2f2e');
INSERT INTO dbos.workflow_status VALUES ('74483b01dce85baf:panel:1#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291712, 1795635291782, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291782, 'null', NULL, NULL, false, 'release-captain', '350b4764-906e-41de-9620-cc412d9d9634');
INSERT INTO dbos.workflow_status VALUES ('9e50ea0c649a7a91:root#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291677, 1795635291784, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291784, 'null', NULL, NULL, false, 'release-captain', '3f27117f-e929-4962-a6df-124552741d56');
INSERT INTO dbos.workflow_status VALUES ('076c7aab19a9719c:page#1', 'PENDING', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291846, 1795635291846, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, '5de4e5f7-bdb1-41b2-be89-ef706619eb9f', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'release-captain', '5de4e5f7-bdb1-41b2-be89-ef706619eb9f');
INSERT INTO dbos.workflow_status VALUES ('a7cc1e77bb319d91:root#1', 'PENDING', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291983, 1795635291983, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, '446497dd-f22f-455e-a24f-111bd692114f', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'release-captain', '446497dd-f22f-455e-a24f-111bd692114f');
INSERT INTO dbos.workflow_status VALUES ('9e50ea0c649a7a91:ticket#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291692, 1795635291784, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291784, 'null', NULL, NULL, false, 'release-captain', 'e13df4ea-8a46-4a29-bb2a-55aa59ea5e33');
INSERT INTO dbos.workflow_status VALUES ('076c7aab19a9719c:ticket#1', 'PENDING', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291860, 1795635291860, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 'b7b482c5-eec8-41fd-9246-f9529df8b1eb', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'release-captain', 'b7b482c5-eec8-41fd-9246-f9529df8b1eb');
INSERT INTO dbos.workflow_status VALUES ('076c7aab19a9719c:checks#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291860, 1795635291921, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635291921, 'null', NULL, NULL, false, 'release-captain', '1e1b4e36-803c-4986-9d7f-11919c05153c');
INSERT INTO dbos.workflow_status VALUES ('a7cc1e77bb319d91:ticket#1', 'PENDING', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291993, 1795635291993, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, '323716f4-3620-44ff-ac1e-1e5f164ba9f3', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'release-captain', '323716f4-3620-44ff-ac1e-1e5f164ba9f3');
INSERT INTO dbos.workflow_status VALUES ('a7cc1e77bb319d91:page#1', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635291977, 1795635292012, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635292012, 'null', NULL, NULL, false, 'release-captain', '6c6026ad-aa70-42f3-a4ee-918579efbaab');
INSERT INTO dbos.workflow_status VALUES ('a7cc1e77bb319d91:page#2', 'SUCCESS', 'effect', NULL, NULL, NULL, NULL, NULL, NULL, 'recorded-1-4a902083', 1795635292236, 1795635292255, '1', '', NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795635292255, 'null', NULL, NULL, false, 'release-captain', 'a720ac83-e9e4-4199-85d9-b0d3bb7063c9');
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.alerts VALUES (1, 1795635291.0480266, '0000000000000001', 1767323040000000, 'firing', NULL, 'docs-api', '{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-latency", "burn": "fast"}', '{"summary": "resolved long ago"}', '{}:{slo=''docs-api-latency''}', 'opened INC-1', 1);
INSERT INTO public.alerts VALUES (2, 1795635291.0652983, '0000000000000001', 1767323040000000, 'resolved', 1767326400000000, 'docs-api', '{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-latency", "burn": "fast"}', '{"summary": "resolved long ago"}', '{}:{slo=''docs-api-latency''}', 'resolved', 1);
INSERT INTO public.alerts VALUES (3, 1795635291.4227405, '0000000000000002', 1767323041000000, 'firing', NULL, 'docs-api', '{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-availability", "burn": "fast"}', '{"summary": "acknowledged, everything done"}', '{}:{slo=''docs-api-availability''}', 'opened INC-2', 2);
INSERT INTO public.alerts VALUES (4, 1795635291.5992322, '0000000000000003', 1767323042000000, 'firing', NULL, 'gateway', '{"alertname": "SLOBurnFast", "service": "gateway", "severity": "page", "slo": "gateway-availability", "burn": "fast"}', '{"summary": "its ticket was given up"}', '{}:{slo=''gateway-availability''}', 'opened INC-4', 4);
INSERT INTO public.alerts VALUES (5, 1795635291.8391433, '0000000000000004', 1767323043000000, 'firing', NULL, 'docs-api', '{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-freshness", "burn": "fast"}', '{"summary": "page, message and ticket were made, and no answer came"}', '{}:{slo=''docs-api-freshness''}', 'opened INC-5', 5);
INSERT INTO public.alerts VALUES (6, 1795635291.9632294, '0000000000000005', 1767323044000000, 'firing', NULL, 'docs-api', '{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-throughput", "burn": "fast"}', '{"summary": "page refused so far, message and ticket on their way"}', '{}:{slo=''docs-api-throughput''}', 'opened INC-6', 6);
INSERT INTO public.alerts VALUES (7, 1795635292.331313, '0000000000000006', 1767323045000000, 'firing', NULL, 'gateway', '{"alertname": "SLOBurnFast", "service": "gateway", "severity": "page", "slo": "gateway-latency", "burn": "fast"}', '{"summary": "taken, and not decided about"}', '{}:{slo=''gateway-latency''}', NULL, NULL);
INSERT INTO public.audit VALUES (1, 1795635291.5731297, 'dora (cli:dora)', 'cli', 'incident acknowledge', 'INC-2', '{"from": "triggered"}', '0000000000000000000000000000000000000000000000000000000000000000', '294eef1abcabfbee6747e96bed89e18177fa7d68bc45830a9613e3541b51dbfb');
INSERT INTO public.audit VALUES (2, 1795635291.5879133, 'dora (cli:dora)', 'cli', 'incident open', 'INC-3', '{"service": "docs-api", "severity": "sev2", "title": "the certificate of docs-api ends tomorrow"}', '294eef1abcabfbee6747e96bed89e18177fa7d68bc45830a9613e3541b51dbfb', '7fa199b65eea9b543650894324d43601eeec13d1a4c350c60ebd86c2430b42b6');
INSERT INTO public.effects VALUES ('076c7aab19a9719c:page', 'page', 'pagerduty', 5, '{}', 2, NULL, 'owed', 0, 0, NULL, 1795635291.8402927, 1795635291.8402927, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:page', 'page', 'pagerduty', 1, '{}', 2, NULL, 'done', 1, 0, NULL, 1795635291.130855, 1795635291.049407, 1795635291.1308622, 29.3, '', '{"dedup_key": "captain-e49da183fd759dba"}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:root', 'root', 'slack', 1, '{}', 3, NULL, 'done', 1, 1, 1795635291.1151917, 1795635291.1357546, 1795635291.049407, 1795635291.1357586, 33.6, '', '{"channel": "C0UX245DEAE", "ts": "1795635291.133572"}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:ticket', 'ticket', 'jira', 1, '{}', 3, NULL, 'done', 1, 1, 1795635291.123179, 1795635291.145014, 1795635291.049407, 1795635291.1450214, 41.4, '', '{"key": "OPS-1"}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:page-resolve', 'page-resolve', 'pagerduty', 1, '{}', 2, 'e49da183fd759dba:page', 'done', 1, 0, NULL, 1795635291.2471943, 1795635291.082913, 1795635291.2472012, 34.4, '', '{}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:panel:1', 'panel', 'slack', 1, '{}', 6, 'e49da183fd759dba:root', 'done', 1, 0, NULL, 1795635291.2616663, 1795635291.082913, 1795635291.2616706, 40.8, '', '{}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:checks', 'checks', 'checks', 1, '{}', 3, NULL, 'done', 1, 0, NULL, 1795635291.2685294, 1795635291.049407, 1795635291.268531, 136.6, '', '{"outcome": "PASS"}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:note:resolved', 'note', 'slack', 1, '{"text": "✅ Resolved: every alert has ended."}', 4, 'e49da183fd759dba:root', 'done', 1, 1, 1795635291.2410665, 1795635291.2678938, 1795635291.082913, 1795635291.267898, 42.7, '', '{}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:ticket-done', 'ticket-done', 'jira', 1, '{}', 4, 'e49da183fd759dba:ticket', 'done', 1, 0, NULL, 1795635291.3269522, 1795635291.082913, 1795635291.3269548, 62.2, '', '{"status": "Done"}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:note:checks', 'note', 'slack', 1, '{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542373 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727273 (want &lt;= 0.03)\n✔ *p95* PASS: 227.498 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}', 4, 'e49da183fd759dba:root', 'done', 1, 1, 1795635291.3189359, 1795635291.3254497, 1795635291.268531, 1795635291.325454, 10.3, '', '{}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:panel:2', 'panel', 'slack', 1, '{}', 6, 'e49da183fd759dba:root', 'done', 1, 0, NULL, 1795635291.337116, 1795635291.2472012, 1795635291.33712, 18.8, '', '{}');
INSERT INTO public.effects VALUES ('e49da183fd759dba:panel:3', 'panel', 'slack', 1, '{}', 6, 'e49da183fd759dba:root', 'done', 1, 0, NULL, 1795635291.402409, 1795635291.3269548, 1795635291.4024134, 8.2, '', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:page', 'page', 'pagerduty', 2, '{}', 2, NULL, 'done', 1, 0, NULL, 1795635291.4559574, 1795635291.430474, 1795635291.455961, 4.4, '', '{"dedup_key": "captain-3c1d1d0e352117b6"}');
INSERT INTO public.effects VALUES ('076c7aab19a9719c:root', 'root', 'slack', 5, '{}', 3, NULL, 'owed', 0, 1, 1795635291.8880062, 1795635291.8402927, 1795635291.8402927, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:root', 'root', 'slack', 2, '{}', 3, NULL, 'done', 1, 1, 1795635291.468236, 1795635291.47124, 1795635291.430474, 1795635291.4712448, 6.9, '', '{"channel": "C0UX245DEAE", "ts": "1795635291.470644"}');
INSERT INTO public.effects VALUES ('076c7aab19a9719c:checks', 'checks', 'checks', 5, '{}', 3, NULL, 'done', 1, 0, NULL, 1795635291.9086199, 1795635291.8402927, 1795635291.9086258, 42.4, '', '{"outcome": "PASS"}');
INSERT INTO public.effects VALUES ('076c7aab19a9719c:ticket', 'ticket', 'jira', 5, '{}', 3, NULL, 'owed', 0, 1, 1795635291.9136856, 1795635291.8402927, 1795635291.8402927, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:checks', 'checks', 'checks', 2, '{}', 3, NULL, 'done', 1, 0, NULL, 1795635291.5132275, 1795635291.430474, 1795635291.5132298, 55.8, '', '{"outcome": "PASS"}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:note:checks', 'note', 'slack', 2, '{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542373 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727273 (want &lt;= 0.03)\n✔ *p95* PASS: 227.498 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}', 4, '3c1d1d0e352117b6:root', 'done', 1, 1, 1795635291.5287132, 1795635291.531331, 1795635291.5132298, 1795635291.5313337, 4.2, '', '{}');
INSERT INTO public.effects VALUES ('9e50ea0c649a7a91:page', 'page', 'pagerduty', 3, '{}', 2, NULL, 'done', 1, 0, NULL, 1795635291.7321987, 1795635291.5879133, 1795635291.7322035, 38.4, '', '{"dedup_key": "captain-9e50ea0c649a7a91"}');
INSERT INTO public.effects VALUES ('9e50ea0c649a7a91:checks', 'checks', 'checks', 3, '{}', 3, NULL, 'done', 1, 0, NULL, 1795635291.7485821, 1795635291.5879133, 1795635291.7485864, 93.6, '', '{"outcome": "PASS"}');
INSERT INTO public.effects VALUES ('9e50ea0c649a7a91:ticket', 'ticket', 'jira', 3, '{}', 3, NULL, 'done', 1, 1, 1795635291.7338479, 1795635291.7533698, 1795635291.5879133, 1795635291.7533724, 49.1, '', '{"key": "OPS-3"}');
INSERT INTO public.effects VALUES ('9e50ea0c649a7a91:root', 'root', 'slack', 3, '{}', 3, NULL, 'done', 1, 1, 1795635291.7334194, 1795635291.7621605, 1795635291.5879133, 1795635291.7621639, 57.1, '', '{"channel": "C0UX245DEAE", "ts": "1795635291.761510"}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:ticket', 'ticket', 'jira', 2, '{}', 3, NULL, 'done', 1, 1, 1795635291.5000174, 1795635291.5120487, 1795635291.430474, 1795635291.5120535, 36.5, '', '{"key": "OPS-2"}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:panel:3', 'panel', 'slack', 2, '{}', 6, '3c1d1d0e352117b6:root', 'done', 1, 0, NULL, 1795635291.7679672, 1795635291.6315148, 1795635291.7679703, 13.6, '', '{}');
INSERT INTO public.effects VALUES ('9e50ea0c649a7a91:panel:1', 'panel', 'slack', 3, '{}', 6, '9e50ea0c649a7a91:root', 'done', 1, 0, NULL, 1795635291.806082, 1795635291.7322035, 1795635291.806087, 11, '', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:panel:1', 'panel', 'slack', 2, '{}', 6, '3c1d1d0e352117b6:root', 'done', 1, 0, NULL, 1795635291.5358078, 1795635291.455961, 1795635291.5358117, 7.9, '', '{}');
INSERT INTO public.effects VALUES ('74483b01dce85baf:page', 'page', 'pagerduty', 4, '{}', 2, NULL, 'done', 1, 0, NULL, 1795635291.6538434, 1795635291.6015818, 1795635291.6538455, 11.8, '', '{"dedup_key": "captain-74483b01dce85baf"}');
INSERT INTO public.effects VALUES ('74483b01dce85baf:root', 'root', 'slack', 4, '{}', 3, NULL, 'done', 1, 1, 1795635291.6596808, 1795635291.6712828, 1795635291.6015818, 1795635291.671286, 19.2, '', '{"channel": "C0DDRRECPEE", "ts": "1795635291.668744"}');
INSERT INTO public.effects VALUES ('74483b01dce85baf:ticket', 'ticket', 'jira', 4, '{}', 3, NULL, 'gave_up', 1, 0, NULL, 1795635291.6526992, 1795635291.6015818, 1795635291.6527011, 9.6, 'Jira refused to search (400): The value ''NOPE'' does not exist for the field ''project''; check the project key in captain.yml, and that the bot''s account may see that project.', '{}');
INSERT INTO public.effects VALUES ('a7cc1e77bb319d91:page', 'page', 'pagerduty', 6, '{}', 2, NULL, 'retrying', 2, 0, NULL, 1795635292.8243358, 1795635291.9646995, NULL, 6.6, 'PagerDuty answered 500: broken on purpose.', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:note:acknowledged', 'note', 'slack', 2, '{"text": "✋ Acknowledged by dora."}', 4, '3c1d1d0e352117b6:root', 'done', 1, 1, 1795635291.6211736, 1795635291.6323323, 1795635291.5731297, 1795635291.6323347, 17.6, '', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:panel:2', 'panel', 'slack', 2, '{}', 6, '3c1d1d0e352117b6:root', 'done', 1, 0, NULL, 1795635291.648846, 1795635291.5731297, 1795635291.6488504, 14.5, '', '{}');
INSERT INTO public.effects VALUES ('3c1d1d0e352117b6:page-ack', 'page-ack', 'pagerduty', 2, '{}', 2, '3c1d1d0e352117b6:page', 'done', 1, 0, NULL, 1795635291.63151, 1795635291.5731297, 1795635291.6315148, 11.3, '', '{}');
INSERT INTO public.effects VALUES ('74483b01dce85baf:panel:1', 'panel', 'slack', 4, '{}', 6, '74483b01dce85baf:root', 'done', 1, 0, NULL, 1795635291.7706466, 1795635291.6538455, 1795635291.7706482, 12.9, '', '{}');
INSERT INTO public.effects VALUES ('9e50ea0c649a7a91:note:checks', 'note', 'slack', 3, '{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542373 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727273 (want &lt;= 0.03)\n✔ *p95* PASS: 227.498 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}', 4, '9e50ea0c649a7a91:root', 'done', 1, 1, 1795635291.790842, 1795635291.7959542, 1795635291.7485864, 1795635291.795957, 6.5, '', '{}');
INSERT INTO public.effects VALUES ('076c7aab19a9719c:note:checks', 'note', 'slack', 5, '{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542373 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727273 (want &lt;= 0.03)\n✔ *p95* PASS: 227.498 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}', 4, '076c7aab19a9719c:root', 'waiting', 0, 0, NULL, 1795635291.9086258, 1795635291.9086258, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('076c7aab19a9719c:panel:1', 'panel', 'slack', 5, '{}', 6, '076c7aab19a9719c:root', 'waiting', 0, 0, NULL, 1795635291.9586258, 1795635291.9086258, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('a7cc1e77bb319d91:ticket', 'ticket', 'jira', 6, '{}', 3, NULL, 'owed', 0, 0, NULL, 1795635291.9646995, 1795635291.9646995, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('a7cc1e77bb319d91:panel:1', 'panel', 'slack', 6, '{}', 6, 'a7cc1e77bb319d91:root', 'waiting', 0, 0, NULL, 1795635292.0385442, 1795635291.9885442, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('a7cc1e77bb319d91:root', 'root', 'slack', 6, '{}', 3, NULL, 'owed', 0, 1, 1795635291.9967022, 1795635291.9646995, 1795635291.9646995, NULL, NULL, '', '{}');
INSERT INTO public.effects VALUES ('a7cc1e77bb319d91:checks', 'checks', 'checks', 6, '{}', 3, NULL, 'done', 1, 0, NULL, 1795635292.0422912, 1795635291.9646995, 1795635292.0422966, 42.6, '', '{"outcome": "PASS"}');
INSERT INTO public.effects VALUES ('a7cc1e77bb319d91:note:checks', 'note', 'slack', 6, '{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542373 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727273 (want &lt;= 0.03)\n✔ *p95* PASS: 227.498 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}', 4, 'a7cc1e77bb319d91:root', 'waiting', 0, 0, NULL, 1795635292.0422966, 1795635292.0422966, NULL, NULL, '', '{}');
INSERT INTO public.inbox VALUES ('slack:5356705027.35084304608.95eeb7ed831d7c961918a0d77271dfbf', 1795635292.391813, 'command', '{"user": "U0BYKESUMMB", "name": "alice", "channel": "C0UX245DEAE", "line": "incident ack INC-6", "response_url": "http://stand-ins.invalid/slack/hooks/response/L61GPw_UbTZp9gCSc2MjWp-r"}', NULL);
INSERT INTO public.incidents VALUES (1, 'e49da183fd759dba', 'prod/docs-api/docs-api-latency', NULL, 'docs-api', 'prod', 'sev2', 'resolved long ago', 'resolved', 'alert', '{"summary": "resolved long ago", "slo": "docs-api-latency", "burn": "fast", "alertname": "SLOBurnFast"}', 1795635291.0480266, 'Alertmanager', 1795635291.1308622, NULL, '', 1795635291.082913, 'Alertmanager', 'C0UX245DEAE', '1795635291.133572', 'OPS-1', 'http://stand-ins.invalid/jira/browse/OPS-1', '✔ PASS (6 of 6 passed)', 3, false);
INSERT INTO public.incidents VALUES (6, 'a7cc1e77bb319d91', 'prod/docs-api/docs-api-throughput', 'prod/docs-api/docs-api-throughput', 'docs-api', 'prod', 'sev2', 'page refused so far, message and ticket on their way', 'triggered', 'alert', '{"summary": "page refused so far, message and ticket on their way", "slo": "docs-api-throughput", "burn": "fast", "alertname": "SLOBurnFast"}', 1795635291.9632294, 'Alertmanager', NULL, NULL, '', NULL, '', '', '', '', '', '✔ PASS (6 of 6 passed)', 1, true);
INSERT INTO public.incidents VALUES (2, '3c1d1d0e352117b6', 'prod/docs-api/docs-api-availability', 'prod/docs-api/docs-api-availability', 'docs-api', 'prod', 'sev2', 'acknowledged, everything done', 'acknowledged', 'alert', '{"summary": "acknowledged, everything done", "slo": "docs-api-availability", "burn": "fast", "alertname": "SLOBurnFast"}', 1795635291.4227405, 'Alertmanager', 1795635291.455961, 1795635291.5731297, 'dora', NULL, '', 'C0UX245DEAE', '1795635291.470644', 'OPS-2', 'http://stand-ins.invalid/jira/browse/OPS-2', '✔ PASS (6 of 6 passed)', 3, false);
INSERT INTO public.incidents VALUES (4, '74483b01dce85baf', 'prod/gateway/gateway-availability', 'prod/gateway/gateway-availability', 'gateway', 'prod', 'sev2', 'its ticket was given up', 'triggered', 'alert', '{"summary": "its ticket was given up", "slo": "gateway-availability", "burn": "fast", "alertname": "SLOBurnFast"}', 1795635291.5992322, 'Alertmanager', 1795635291.6538455, NULL, '', NULL, '', 'C0DDRRECPEE', '1795635291.668744', '', '', '', 1, false);
INSERT INTO public.incidents VALUES (3, '9e50ea0c649a7a91', 'prod/docs-api/9e50ea0c649a7a91', 'prod/docs-api/9e50ea0c649a7a91', 'docs-api', 'prod', 'sev2', 'the certificate of docs-api ends tomorrow', 'triggered', 'person', '{"summary": "the certificate of docs-api ends tomorrow"}', 1795635291.5879133, 'dora', 1795635291.7322035, NULL, '', NULL, '', 'C0UX245DEAE', '1795635291.761510', 'OPS-3', 'http://stand-ins.invalid/jira/browse/OPS-3', '✔ PASS (6 of 6 passed)', 1, false);
INSERT INTO public.incidents VALUES (5, '076c7aab19a9719c', 'prod/docs-api/docs-api-freshness', 'prod/docs-api/docs-api-freshness', 'docs-api', 'prod', 'sev2', 'page, message and ticket were made, and no answer came', 'triggered', 'alert', '{"summary": "page, message and ticket were made, and no answer came", "slo": "docs-api-freshness", "burn": "fast", "alertname": "SLOBurnFast"}', 1795635291.8391433, 'Alertmanager', NULL, NULL, '', NULL, '', '', '', '', '', '✔ PASS (6 of 6 passed)', 1, true);
INSERT INTO public.replicas VALUES ('recorded-1-4a902083', 1795635290.813262);
INSERT INTO public.timeline VALUES (1, 1, 1795635291.049407, 'opened', 'Alertmanager', 'resolved long ago');
INSERT INTO public.timeline VALUES (2, 1, 1795635291.082913, 'resolved', 'Alertmanager', 'every alert has resolved');
INSERT INTO public.timeline VALUES (3, 1, 1795635291.1308622, 'paged', 'PagerDuty', 'PagerDuty took the page');
INSERT INTO public.timeline VALUES (4, 1, 1795635291.268531, 'checks', 'Release Captain', 'docs-api: PASS');
INSERT INTO public.timeline VALUES (5, 2, 1795635291.430474, 'opened', 'Alertmanager', 'acknowledged, everything done');
INSERT INTO public.timeline VALUES (6, 2, 1795635291.455961, 'paged', 'PagerDuty', 'PagerDuty took the page');
INSERT INTO public.timeline VALUES (7, 2, 1795635291.5132298, 'checks', 'Release Captain', 'docs-api: PASS');
INSERT INTO public.timeline VALUES (8, 2, 1795635291.5731297, 'acknowledged', 'dora', 'by dora');
INSERT INTO public.timeline VALUES (9, 3, 1795635291.5879133, 'opened', 'dora', 'the certificate of docs-api ends tomorrow');
INSERT INTO public.timeline VALUES (10, 4, 1795635291.6015818, 'opened', 'Alertmanager', 'its ticket was given up');
INSERT INTO public.timeline VALUES (11, 4, 1795635291.6538455, 'paged', 'PagerDuty', 'PagerDuty took the page');
INSERT INTO public.timeline VALUES (12, 4, 1795635291.6527011, 'effect', 'Release Captain', 'ticket could not be done: Jira refused to search (400): The value ''NOPE'' does not exist for the field ''project''; check the project key in captain.yml, and that the bot''s account may see that project.');
INSERT INTO public.timeline VALUES (13, 3, 1795635291.7322035, 'paged', 'PagerDuty', 'PagerDuty took the page');
INSERT INTO public.timeline VALUES (14, 3, 1795635291.7485864, 'checks', 'Release Captain', 'docs-api: PASS');
INSERT INTO public.timeline VALUES (15, 5, 1795635291.8402927, 'opened', 'Alertmanager', 'page, message and ticket were made, and no answer came');
INSERT INTO public.timeline VALUES (16, 5, 1795635291.9086258, 'checks', 'Release Captain', 'docs-api: PASS');
INSERT INTO public.timeline VALUES (17, 6, 1795635291.9646995, 'opened', 'Alertmanager', 'page refused so far, message and ticket on their way');
INSERT INTO public.timeline VALUES (18, 6, 1795635292.0422966, 'checks', 'Release Captain', 'docs-api: PASS');
SELECT pg_catalog.setval('public.alerts_id_seq', 7, true);
SELECT pg_catalog.setval('public.audit_id_seq', 2, true);
SELECT pg_catalog.setval('public.incidents_number_seq', 7, true);
SELECT pg_catalog.setval('public.timeline_id_seq', 19, true);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_pkey PRIMARY KEY (version_id);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_version_name_key UNIQUE (version_name);
ALTER TABLE ONLY dbos.dbos_migrations
    ADD CONSTRAINT dbos_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY dbos.event_dispatch_kv
    ADD CONSTRAINT event_dispatch_kv_pkey PRIMARY KEY (service_name, workflow_fn_name, key);
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (message_uuid);
ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_pkey PRIMARY KEY (workflow_uuid, function_id);
ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_name_key UNIQUE (name);
ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (queue_id);
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");
ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_pkey PRIMARY KEY (workflow_uuid, function_id, key);
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_pkey PRIMARY KEY (workflow_uuid, key);
ALTER TABLE ONLY dbos.workflow_input
    ADD CONSTRAINT workflow_input_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY dbos.workflow_output
    ADD CONSTRAINT workflow_output_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_pkey PRIMARY KEY (schedule_id);
ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_schedule_name_key UNIQUE (schedule_name);
ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.alerts
    ADD CONSTRAINT alerts_fingerprint_starts_at_status_key UNIQUE (fingerprint, starts_at, status);
ALTER TABLE ONLY public.alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT incidents_open_key_key UNIQUE (open_key);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT incidents_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT incidents_uid_key UNIQUE (uid);
ALTER TABLE ONLY public.replicas
    ADD CONSTRAINT replicas_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.timeline
    ADD CONSTRAINT timeline_pkey PRIMARY KEY (id);
CREATE INDEX idx_application_versions_owner_timestamp ON dbos.application_versions USING btree (application_name, version_timestamp DESC);
CREATE INDEX idx_application_versions_timestamp ON dbos.application_versions USING btree (version_timestamp DESC);
CREATE INDEX idx_operation_outputs_completed_at_function_name_v2 ON dbos.operation_outputs USING btree (completed_at_epoch_ms, function_name) INCLUDE (application_name);
CREATE INDEX idx_operation_outputs_retention ON dbos.operation_outputs USING btree (retention_timestamp);
CREATE INDEX idx_workflow_input_retention ON dbos.workflow_input USING btree (retention_timestamp);
CREATE INDEX idx_workflow_output_retention ON dbos.workflow_output USING btree (retention_timestamp);
CREATE INDEX idx_workflow_status_attributes ON dbos.workflow_status USING gin (attributes) WHERE (attributes IS NOT NULL);
CREATE INDEX idx_workflow_status_completed_at ON dbos.workflow_status USING btree (completed_at) WHERE (completed_at IS NOT NULL);
CREATE INDEX idx_workflow_status_deadline ON dbos.workflow_status USING btree (workflow_deadline_epoch_ms) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text, 'DELAYED'::text])) AND (workflow_deadline_epoch_ms IS NOT NULL));
CREATE INDEX idx_workflow_status_delayed ON dbos.workflow_status USING btree (delay_until_epoch_ms) WHERE (status = 'DELAYED'::text);
CREATE INDEX idx_workflow_status_failed ON dbos.workflow_status USING btree (status, created_at) WHERE (status = ANY (ARRAY['ERROR'::text, 'CANCELLED'::text, 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'::text]));
CREATE INDEX idx_workflow_status_forked_from ON dbos.workflow_status USING btree (forked_from) WHERE (forked_from IS NOT NULL);
CREATE INDEX idx_workflow_status_in_flight_v2 ON dbos.workflow_status USING btree (queue_name, status, priority, created_at) INCLUDE (application_name) WHERE (status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text]));
CREATE INDEX idx_workflow_status_parent_workflow_id ON dbos.workflow_status USING btree (parent_workflow_id) WHERE (parent_workflow_id IS NOT NULL);
CREATE INDEX idx_workflow_status_partition_dequeue_v3 ON dbos.workflow_status USING btree (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) INCLUDE (application_name) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text])) AND (queue_partition_key IS NOT NULL));
CREATE INDEX idx_workflow_status_pending ON dbos.workflow_status USING btree (created_at) WHERE (status = 'PENDING'::text);
CREATE INDEX idx_workflow_status_rate_limited ON dbos.workflow_status USING btree (queue_name, started_at_epoch_ms) WHERE (rate_limited = true);
CREATE INDEX idx_workflow_status_schedule_name ON dbos.workflow_status USING btree (schedule_name) WHERE (schedule_name IS NOT NULL);
CREATE INDEX idx_workflow_status_started_at ON dbos.workflow_status USING btree (started_at_epoch_ms) WHERE (started_at_epoch_ms IS NOT NULL);
CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);
CREATE UNIQUE INDEX uq_application_versions_owner_version ON dbos.application_versions USING btree (application_name, version_name) WHERE (application_name IS NOT NULL);
CREATE UNIQUE INDEX uq_application_versions_unclaimed_version ON dbos.application_versions USING btree (version_name) WHERE (application_name IS NULL);
CREATE UNIQUE INDEX uq_workflow_status_dedup_id ON dbos.workflow_status USING btree (queue_name, deduplication_id) WHERE (deduplication_id IS NOT NULL);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
CREATE INDEX ix_alerts_incident ON public.alerts USING btree (incident);
CREATE INDEX ix_alerts_undecided ON public.alerts USING btree (id) WHERE (verdict IS NULL);
CREATE INDEX ix_effects_about ON public.effects USING btree (about);
CREATE INDEX ix_effects_due ON public.effects USING btree (due_at) WHERE ((state)::text = ANY ((ARRAY['owed'::character varying, 'retrying'::character varying])::text[]));
CREATE INDEX ix_effects_waiting ON public.effects USING btree (after) WHERE ((state)::text = 'waiting'::text);
CREATE INDEX ix_inbox_received_at ON public.inbox USING btree (received_at);
CREATE INDEX ix_incidents_opened_at ON public.incidents USING btree (opened_at);
CREATE INDEX ix_incidents_service ON public.incidents USING btree (service);
CREATE INDEX ix_timeline_incident ON public.timeline USING btree (incident);
CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_destination_uuid_fkey FOREIGN KEY (destination_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
