BEGIN TRANSACTION;
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('e26be2a1-1949-4ad5-8447-3e06b519791b','1',1795635283000,1795635283000,'release-captain');
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:page#1',1,'try','{"state":"done","lane":"pagerduty","urgency":2,"due":1795635284.0118032}',NULL,NULL,1795635283937,1795635284058,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:page-resolve#1',1,'try','{"state":"done","lane":"pagerduty","urgency":2,"due":1795635284.1095748}',NULL,NULL,1795635284063,1795635284126,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:root#1',1,'try','{"state":"done","lane":"slack","urgency":3,"due":1795635284.1173952}',NULL,NULL,1795635283989,1795635284151,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:ticket#1',1,'try','{"state":"done","lane":"jira","urgency":3,"due":1795635284.1099718}',NULL,NULL,1795635283943,1795635284164,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:checks#1',1,'try','{"state":"done","lane":"checks","urgency":3,"due":1795635284.155894}',NULL,NULL,1795635283997,1795635284168,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:note:resolved#1',1,'try','{"state":"done","lane":"slack","urgency":4,"due":1795635284.1868842}',NULL,NULL,1795635284160,1795635284198,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:panel:1#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.1879406}',NULL,NULL,1795635284163,1795635284203,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:ticket-done#1',1,'try','{"state":"done","lane":"jira","urgency":4,"due":1795635284.1978683}',NULL,NULL,1795635284169,1795635284209,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:note:checks#1',1,'try','{"state":"done","lane":"slack","urgency":4,"due":1795635284.1948988}',NULL,NULL,1795635284174,1795635284207,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('e49da183fd759dba:panel:2#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.2550986}',NULL,NULL,1795635284249,1795635284256,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:page#1',1,'try','{"state":"done","lane":"pagerduty","urgency":2,"due":1795635284.2990818}',NULL,NULL,1795635284291,1795635284318,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:root#1',1,'try','{"state":"done","lane":"slack","urgency":3,"due":1795635284.3401883}',NULL,NULL,1795635284302,1795635284350,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:ticket#1',1,'try','{"state":"done","lane":"jira","urgency":3,"due":1795635284.344933}',NULL,NULL,1795635284302,1795635284360,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:checks#1',1,'try','{"state":"done","lane":"checks","urgency":3,"due":1795635284.366675}',NULL,NULL,1795635284295,1795635284373,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:panel:1#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.3831394}',NULL,NULL,1795635284364,1795635284388,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:note:checks#1',1,'try','{"state":"done","lane":"slack","urgency":4,"due":1795635284.3877127}',NULL,NULL,1795635284375,1795635284391,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:panel:2#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.4234948}',NULL,NULL,1795635284418,1795635284424,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:page-ack#1',1,'try','{"state":"done","lane":"pagerduty","urgency":2,"due":1795635284.468644}',NULL,NULL,1795635284460,1795635284485,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:note:acknowledged#1',1,'try','{"state":"done","lane":"slack","urgency":4,"due":1795635284.4754808}',NULL,NULL,1795635284463,1795635284501,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('de6f8757d04001b1:page#1',1,'try','{"state":"done","lane":"pagerduty","urgency":2,"due":1795635284.4988277}',NULL,NULL,1795635284483,1795635284576,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('de6f8757d04001b1:checks#1',1,'try','{"state":"done","lane":"checks","urgency":3,"due":1795635284.56869}',NULL,NULL,1795635284502,1795635284587,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('de6f8757d04001b1:ticket#1',1,'try','{"state":"done","lane":"jira","urgency":3,"due":1795635284.5826735}',NULL,NULL,1795635284488,1795635284606,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('74483b01dce85baf:root#1',1,'try','{"state":"done","lane":"slack","urgency":3,"due":1795635284.5952294}',NULL,NULL,1795635284547,1795635284611,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('de6f8757d04001b1:root#1',1,'try','{"state":"done","lane":"slack","urgency":3,"due":1795635284.5873206}',NULL,NULL,1795635284526,1795635284614,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('74483b01dce85baf:ticket#1',1,'try','{"state":"gave_up","lane":"jira","urgency":3,"due":1795635284.5750053}',NULL,NULL,1795635284563,1795635284625,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('74483b01dce85baf:page#1',1,'try','{"state":"done","lane":"pagerduty","urgency":2,"due":1795635284.5752277}',NULL,NULL,1795635284555,1795635284639,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('3c1d1d0e352117b6:panel:3#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.6026928}',NULL,NULL,1795635284514,1795635284645,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('de6f8757d04001b1:note:checks#1',1,'try','{"state":"done","lane":"slack","urgency":4,"due":1795635284.6553478}',NULL,NULL,1795635284618,1795635284659,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('74483b01dce85baf:panel:1#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.6556368}',NULL,NULL,1795635284631,1795635284663,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('de6f8757d04001b1:panel:1#1',1,'try','{"state":"done","lane":"slack","urgency":6,"due":1795635284.6671033}',NULL,NULL,1795635284624,1795635284668,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('076c7aab19a9719c:checks#1',1,'try','{"state":"done","lane":"checks","urgency":3,"due":1795635284.7991357}',NULL,NULL,1795635284747,1795635284810,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('a7cc1e77bb319d91:page#1',1,'try','{"state":"retrying","lane":"pagerduty","urgency":2,"due":1795635285.065854}',NULL,NULL,1795635284817,1795635284836,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('a7cc1e77bb319d91:checks#1',1,'try','{"state":"done","lane":"checks","urgency":3,"due":1795635284.895099}',NULL,NULL,1795635284827,1795635284898,'portable_json','release-captain',1795635284000);
INSERT INTO "operation_outputs" VALUES('a7cc1e77bb319d91:page#2',1,'try','{"state":"retrying","lane":"pagerduty","urgency":2,"due":1795635285.6680703}',NULL,NULL,1795635285067,1795635285080,'portable_json','release-captain',1795635285000);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO "queues" VALUES('25E50DA6FB431C8C36C2D07F50A6C73C','cron',NULL,2,NULL,NULL,1,0,1.0,1795635283000,1795635283568,'release-captain',NULL,NULL,NULL,NULL);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:page#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:page",1]}',1795635283000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:ticket#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:ticket",1]}',1795635283000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:root#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:root",1]}',1795635283000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:checks#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:checks",1]}',1795635283000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:page-resolve#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:page-resolve",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:note:resolved#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:note:resolved",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:panel:1#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:panel:1",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:ticket-done#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:ticket-done",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:note:checks#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:note:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('e49da183fd759dba:panel:2#1','{"namedArgs":{},"positionalArgs":["e49da183fd759dba:panel:2",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:page#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:page",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:checks#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:ticket#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:ticket",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:root#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:root",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:panel:1#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:panel:1",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:note:checks#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:note:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:panel:2#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:panel:2",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:page-ack#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:page-ack",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:note:acknowledged#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:note:acknowledged",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('de6f8757d04001b1:page#1','{"namedArgs":{},"positionalArgs":["de6f8757d04001b1:page",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('de6f8757d04001b1:ticket#1','{"namedArgs":{},"positionalArgs":["de6f8757d04001b1:ticket",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('de6f8757d04001b1:checks#1','{"namedArgs":{},"positionalArgs":["de6f8757d04001b1:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('3c1d1d0e352117b6:panel:3#1','{"namedArgs":{},"positionalArgs":["3c1d1d0e352117b6:panel:3",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('de6f8757d04001b1:root#1','{"namedArgs":{},"positionalArgs":["de6f8757d04001b1:root",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('74483b01dce85baf:root#1','{"namedArgs":{},"positionalArgs":["74483b01dce85baf:root",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('74483b01dce85baf:page#1','{"namedArgs":{},"positionalArgs":["74483b01dce85baf:page",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('74483b01dce85baf:ticket#1','{"namedArgs":{},"positionalArgs":["74483b01dce85baf:ticket",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('de6f8757d04001b1:note:checks#1','{"namedArgs":{},"positionalArgs":["de6f8757d04001b1:note:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('de6f8757d04001b1:panel:1#1','{"namedArgs":{},"positionalArgs":["de6f8757d04001b1:panel:1",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('74483b01dce85baf:panel:1#1','{"namedArgs":{},"positionalArgs":["74483b01dce85baf:panel:1",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('076c7aab19a9719c:page#1','{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:page",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('076c7aab19a9719c:root#1','{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:root",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('076c7aab19a9719c:checks#1','{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('076c7aab19a9719c:ticket#1','{"namedArgs":{},"positionalArgs":["076c7aab19a9719c:ticket",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('a7cc1e77bb319d91:page#1','{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:page",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('a7cc1e77bb319d91:root#1','{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:root",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('a7cc1e77bb319d91:ticket#1','{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:ticket",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('a7cc1e77bb319d91:checks#1','{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:checks",1]}',1795635284000);
INSERT INTO "workflow_input" VALUES('a7cc1e77bb319d91:page#2','{"namedArgs":{},"positionalArgs":["a7cc1e77bb319d91:page",2]}',1795635285000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:page#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:page-resolve#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:root#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:ticket#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:note:resolved#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:panel:1#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:ticket-done#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:note:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('e49da183fd759dba:panel:2#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:page#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:root#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:ticket#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:panel:1#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:note:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:panel:2#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:page-ack#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:note:acknowledged#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('de6f8757d04001b1:page#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('de6f8757d04001b1:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('de6f8757d04001b1:ticket#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('de6f8757d04001b1:root#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('74483b01dce85baf:root#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('74483b01dce85baf:page#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('3c1d1d0e352117b6:panel:3#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('74483b01dce85baf:ticket#1','"gave_up"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('de6f8757d04001b1:note:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('74483b01dce85baf:panel:1#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('de6f8757d04001b1:panel:1#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('076c7aab19a9719c:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('a7cc1e77bb319d91:page#1','"retrying"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('a7cc1e77bb319d91:checks#1','"done"',NULL,1795635284000);
INSERT INTO "workflow_output" VALUES('a7cc1e77bb319d91:page#2','"retrying"',NULL,1795635285000);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:page#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635283000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','58e3864e-e8db-4938-ba40-2134a85ccccc');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:ticket#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635283000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','5d5d8c11-5134-43c1-b343-323f39585ec0');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:root#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635283000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','2cabd002-13d8-4bab-86cc-db37ff78d993');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635283000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','25bbffdf-f281-4a22-a477-20f0a5dc95a8');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:page-resolve#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','4ba1775f-03f8-4b22-b527-129c649552cc');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:note:resolved#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','312abd26-6a06-4a39-b945-65b1e2bd0c01');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:panel:1#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','0617fcf4-ddd6-47f9-b2a6-069d591ad281');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:ticket-done#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','80b3bb3a-33c5-4db1-925f-0d6949bf4a96');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:note:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','7f09c320-07d0-49a1-8a61-19d36f736a58');
INSERT INTO "workflow_status" VALUES('e49da183fd759dba:panel:2#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','0641840a-d3f5-456b-a910-1c62521faf33');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:page#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','90a0efb4-13df-43a8-a162-a1e423f2b7b8');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','ce05a36d-70b8-4036-837e-0e3ffdf66d97');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:ticket#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','42b556be-edd5-4e59-8464-4b01ca51bc88');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:root#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','088a0cc2-c120-40da-85a3-7bac36e373db');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:panel:1#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','aa4f2564-ba26-4216-bfc7-5de316e151bd');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:note:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','d46ab1ca-3f24-4523-a39e-d04ed15cf441');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:panel:2#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','53152211-7489-47b6-90f8-a4514068561b');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:page-ack#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','a6ff9fa0-04d3-4782-afdb-abd872f67337');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:note:acknowledged#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','133480f2-2e7b-4d86-9d45-3747043467b3');
INSERT INTO "workflow_status" VALUES('de6f8757d04001b1:page#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','2a3386ae-cda3-4ec8-aa4c-06ea22157a3f');
INSERT INTO "workflow_status" VALUES('de6f8757d04001b1:ticket#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','ea2565ee-7fd7-47c7-a022-c67ad249fdb2');
INSERT INTO "workflow_status" VALUES('de6f8757d04001b1:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','4e37ed6d-54b5-47fd-a4c1-6eea1351fdae');
INSERT INTO "workflow_status" VALUES('3c1d1d0e352117b6:panel:3#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','d6fffe5f-a288-4677-9b6f-7b457004ef41');
INSERT INTO "workflow_status" VALUES('de6f8757d04001b1:root#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','a3f331c9-c8ff-4d67-b5fd-9b88851bc2e7');
INSERT INTO "workflow_status" VALUES('74483b01dce85baf:root#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','a67c846c-1d76-481a-962d-cf3820d4d6df');
INSERT INTO "workflow_status" VALUES('74483b01dce85baf:page#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','dec188f5-e73c-4c97-a96b-fdaf83afa5e9');
INSERT INTO "workflow_status" VALUES('74483b01dce85baf:ticket#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','9e3b8042-423a-45f2-879e-c0c3223eb4cc');
INSERT INTO "workflow_status" VALUES('de6f8757d04001b1:note:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','2ae30e76-ab32-4dc9-92a2-cb6b773ad43d');
INSERT INTO "workflow_status" VALUES('de6f8757d04001b1:panel:1#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','cba92066-b12b-4710-914a-4a13c6bb53b7');
INSERT INTO "workflow_status" VALUES('74483b01dce85baf:panel:1#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','f2945446-92ca-44c6-bf74-c12f3eda6b91');
INSERT INTO "workflow_status" VALUES('076c7aab19a9719c:page#1','PENDING','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'ac68c316-a988-434c-bc50-c9475cc7e671',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'release-captain','ac68c316-a988-434c-bc50-c9475cc7e671');
INSERT INTO "workflow_status" VALUES('076c7aab19a9719c:root#1','PENDING','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'e8546278-2a1a-4c61-a96f-109ad041389a',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'release-captain','e8546278-2a1a-4c61-a96f-109ad041389a');
INSERT INTO "workflow_status" VALUES('076c7aab19a9719c:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','e8a29ab3-108f-427d-83df-f5d67c780bfb');
INSERT INTO "workflow_status" VALUES('076c7aab19a9719c:ticket#1','PENDING','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'7e2f9b60-f0ee-4951-947d-6df2d98b8c4c',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'release-captain','7e2f9b60-f0ee-4951-947d-6df2d98b8c4c');
INSERT INTO "workflow_status" VALUES('a7cc1e77bb319d91:page#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','cbb1cc77-1ee6-4486-a12e-4fa42297fcc5');
INSERT INTO "workflow_status" VALUES('a7cc1e77bb319d91:root#1','PENDING','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'15d03dc8-34c8-4763-af7a-44cad6965712',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'release-captain','15d03dc8-34c8-4763-af7a-44cad6965712');
INSERT INTO "workflow_status" VALUES('a7cc1e77bb319d91:ticket#1','PENDING','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'cb4ab4f8-0106-457f-b765-13f534ec818e',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'release-captain','cb4ab4f8-0106-457f-b765-13f534ec818e');
INSERT INTO "workflow_status" VALUES('a7cc1e77bb319d91:checks#1','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635284000,1795635284000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635284000,'null',NULL,NULL,0,'release-captain','966b4b7f-ebbe-40ea-97cc-5d144c8690f1');
INSERT INTO "workflow_status" VALUES('a7cc1e77bb319d91:page#2','SUCCESS','effect',NULL,NULL,NULL,NULL,NULL,NULL,'recorded-1-7ecea5d2',1795635285000,1795635285000,'1','',NULL,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795635285000,'null',NULL,NULL,0,'release-captain','e48ee3fe-0c0c-47ab-b6c6-9c8bfe0ea1b2');
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
COMMIT;
