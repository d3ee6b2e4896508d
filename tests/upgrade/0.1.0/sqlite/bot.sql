BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE alerts (
	id INTEGER NOT NULL, 
	received_at FLOAT NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	starts_at BIGINT NOT NULL, 
	status VARCHAR NOT NULL, 
	ends_at BIGINT, 
	service VARCHAR NOT NULL, 
	labels VARCHAR NOT NULL, 
	annotations VARCHAR NOT NULL, 
	group_key VARCHAR NOT NULL, 
	verdict VARCHAR, 
	incident INTEGER, 
	PRIMARY KEY (id), 
	UNIQUE (fingerprint, starts_at, status)
);
INSERT INTO "alerts" VALUES(1,1795635283.8922641,'0000000000000001',1767323040000000,'firing',NULL,'docs-api','{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-latency", "burn": "fast"}','{"summary": "resolved long ago"}','{}:{slo=''docs-api-latency''}','opened INC-1',1);
INSERT INTO "alerts" VALUES(2,1795635283.920598,'0000000000000001',1767323040000000,'resolved',1767326400000000,'docs-api','{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-latency", "burn": "fast"}','{"summary": "resolved long ago"}','{}:{slo=''docs-api-latency''}','resolved',1);
INSERT INTO "alerts" VALUES(3,1795635284.278039,'0000000000000002',1767323041000000,'firing',NULL,'docs-api','{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-availability", "burn": "fast"}','{"summary": "acknowledged, everything done"}','{}:{slo=''docs-api-availability''}','opened INC-2',2);
INSERT INTO "alerts" VALUES(4,1795635284.486177,'0000000000000003',1767323042000000,'firing',NULL,'gateway','{"alertname": "SLOBurnFast", "service": "gateway", "severity": "page", "slo": "gateway-availability", "burn": "fast"}','{"summary": "its ticket was given up"}','{}:{slo=''gateway-availability''}','opened INC-4',4);
INSERT INTO "alerts" VALUES(5,1795635284.72079,'0000000000000004',1767323043000000,'firing',NULL,'docs-api','{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-freshness", "burn": "fast"}','{"summary": "page, message and ticket were made, and no answer came"}','{}:{slo=''docs-api-freshness''}','opened INC-5',5);
INSERT INTO "alerts" VALUES(6,1795635284.797551,'0000000000000005',1767323044000000,'firing',NULL,'docs-api','{"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "docs-api-throughput", "burn": "fast"}','{"summary": "page refused so far, message and ticket on their way"}','{}:{slo=''docs-api-throughput''}','opened INC-6',6);
INSERT INTO "alerts" VALUES(7,1795635285.1180773,'0000000000000006',1767323045000000,'firing',NULL,'gateway','{"alertname": "SLOBurnFast", "service": "gateway", "severity": "page", "slo": "gateway-latency", "burn": "fast"}','{"summary": "taken, and not decided about"}','{}:{slo=''gateway-latency''}',NULL,NULL);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	actor VARCHAR NOT NULL, 
	door VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	"before" VARCHAR NOT NULL, 
	seal VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,1795635284.4436076,'dora (cli:dora)','cli','incident acknowledge','INC-2','{"from": "triggered"}','0000000000000000000000000000000000000000000000000000000000000000','4e54948aa7ab76da45268f1a316a60be3f6be70e5697a08c90de4f68efeea3af');
INSERT INTO "audit" VALUES(2,1795635284.4679701,'dora (cli:dora)','cli','incident open','INC-3','{"service": "docs-api", "severity": "sev2", "title": "the certificate of docs-api ends tomorrow"}','4e54948aa7ab76da45268f1a316a60be3f6be70e5697a08c90de4f68efeea3af','c7d6ee49e95ca0dcb742bdd53de961ffa4184dd358805f4232a934696edb61fe');
CREATE TABLE effects (
	"key" VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	lane VARCHAR NOT NULL, 
	about INTEGER, 
	args VARCHAR NOT NULL, 
	urgency INTEGER NOT NULL, 
	"after" VARCHAR, 
	state VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	tried INTEGER NOT NULL, 
	tried_at FLOAT, 
	due_at FLOAT NOT NULL, 
	created_at FLOAT NOT NULL, 
	done_at FLOAT, 
	took_ms FLOAT, 
	reason VARCHAR NOT NULL, 
	result VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "effects" VALUES('e49da183fd759dba:page','page','pagerduty',1,'{}',2,NULL,'done',1,0,NULL,1795635284.0118032,1795635283.9049892,1795635284.0118084,10.6,'','{"dedup_key": "captain-e49da183fd759dba"}');
INSERT INTO "effects" VALUES('e49da183fd759dba:root','root','slack',1,'{}',3,NULL,'done',1,1,1795635284.0583477,1795635284.1173952,1795635283.9049892,1795635284.1174078,122.5,'','{"channel": "C0UX245DEAE", "ts": "1795635284.116485"}');
INSERT INTO "effects" VALUES('e49da183fd759dba:ticket','ticket','jira',1,'{}',3,NULL,'done',1,1,1795635284.03397,1795635284.1099718,1795635283.9049892,1795635284.1099756,118.4,'','{"key": "OPS-1"}');
INSERT INTO "effects" VALUES('e49da183fd759dba:checks','checks','checks',1,'{}',3,NULL,'done',1,0,NULL,1795635284.155894,1795635283.9049892,1795635284.1559002,152.8,'','{"outcome": "PASS"}');
INSERT INTO "effects" VALUES('e49da183fd759dba:page-resolve','page-resolve','pagerduty',1,'{}',2,'e49da183fd759dba:page','done',1,0,NULL,1795635284.1095748,1795635283.9825604,1795635284.1095867,44.7,'','{}');
INSERT INTO "effects" VALUES('e49da183fd759dba:ticket-done','ticket-done','jira',1,'{}',4,'e49da183fd759dba:ticket','done',1,0,NULL,1795635284.1978683,1795635283.9825604,1795635284.1978714,26.9,'','{"status": "Done"}');
INSERT INTO "effects" VALUES('e49da183fd759dba:note:resolved','note','slack',1,'{"text": "✅ Resolved: every alert has ended."}',4,'e49da183fd759dba:root','done',1,1,1795635284.169167,1795635284.1868842,1795635283.9825604,1795635284.1868892,25.3,'','{}');
INSERT INTO "effects" VALUES('e49da183fd759dba:panel:1','panel','slack',1,'{}',6,'e49da183fd759dba:root','done',1,0,NULL,1795635284.1879406,1795635283.9825604,1795635284.187944,24.0,'','{}');
INSERT INTO "effects" VALUES('e49da183fd759dba:note:checks','note','slack',1,'{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50.0034 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542336 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727008 (want &lt;= 0.03)\n✔ *p95* PASS: 227.532 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}',4,'e49da183fd759dba:root','done',1,1,1795635284.1863425,1795635284.1948988,1795635284.1559002,1795635284.1949067,9.2,'','{}');
INSERT INTO "effects" VALUES('e49da183fd759dba:panel:2','panel','slack',1,'{}',6,'e49da183fd759dba:root','done',1,0,NULL,1795635284.2550986,1795635284.1978714,1795635284.2551079,4.6,'','{}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:page','page','pagerduty',2,'{}',2,NULL,'done',1,0,NULL,1795635284.2990818,1795635284.2793334,1795635284.299085,6.5,'','{"dedup_key": "captain-3c1d1d0e352117b6"}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:root','root','slack',2,'{}',3,NULL,'done',1,1,1795635284.3214774,1795635284.3401883,1795635284.2793334,1795635284.340199,36.3,'','{"channel": "C0UX245DEAE", "ts": "1795635284.339370"}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:ticket','ticket','jira',2,'{}',3,NULL,'done',1,1,1795635284.3270779,1795635284.344933,1795635284.2793334,1795635284.3449414,39.2,'','{"key": "OPS-2"}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:checks','checks','checks',2,'{}',3,NULL,'done',1,0,NULL,1795635284.366675,1795635284.2793334,1795635284.366678,70.0,'','{"outcome": "PASS"}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:panel:1','panel','slack',2,'{}',6,'3c1d1d0e352117b6:root','done',1,0,NULL,1795635284.3831394,1795635284.299085,1795635284.3831472,18.0,'','{}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:note:checks','note','slack',2,'{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50.0034 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542336 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727008 (want &lt;= 0.03)\n✔ *p95* PASS: 227.532 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}',4,'3c1d1d0e352117b6:root','done',1,1,1795635284.3768392,1795635284.3877127,1795635284.366678,1795635284.387718,11.5,'','{}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:panel:2','panel','slack',2,'{}',6,'3c1d1d0e352117b6:root','done',1,0,NULL,1795635284.4234948,1795635284.366678,1795635284.4235005,4.1,'','{}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:page-ack','page-ack','pagerduty',2,'{}',2,'3c1d1d0e352117b6:page','done',1,0,NULL,1795635284.468644,1795635284.4436076,1795635284.468652,7.0,'','{}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:note:acknowledged','note','slack',2,'{"text": "✋ Acknowledged by dora."}',4,'3c1d1d0e352117b6:root','done',1,1,1795635284.4649274,1795635284.4754808,1795635284.4436076,1795635284.4754858,11.3,'','{}');
INSERT INTO "effects" VALUES('3c1d1d0e352117b6:panel:3','panel','slack',2,'{}',6,'3c1d1d0e352117b6:root','done',1,0,NULL,1795635284.6026928,1795635284.4436076,1795635284.6027017,86.6,'','{}');
INSERT INTO "effects" VALUES('de6f8757d04001b1:page','page','pagerduty',3,'{}',2,NULL,'done',1,0,NULL,1795635284.4988277,1795635284.4679701,1795635284.498833,8.4,'','{"dedup_key": "captain-de6f8757d04001b1"}');
INSERT INTO "effects" VALUES('de6f8757d04001b1:root','root','slack',3,'{}',3,NULL,'done',1,1,1795635284.580911,1795635284.5873206,1795635284.4679701,1795635284.5873258,56.8,'','{"channel": "C0UX245DEAE", "ts": "1795635284.586649"}');
INSERT INTO "effects" VALUES('de6f8757d04001b1:ticket','ticket','jira',3,'{}',3,NULL,'done',1,1,1795635284.5766938,1795635284.5826735,1795635284.4679701,1795635284.582681,91.0,'','{"key": "OPS-3"}');
INSERT INTO "effects" VALUES('de6f8757d04001b1:checks','checks','checks',3,'{}',3,NULL,'done',1,0,NULL,1795635284.56869,1795635284.4679701,1795635284.5686948,64.9,'','{"outcome": "PASS"}');
INSERT INTO "effects" VALUES('74483b01dce85baf:page','page','pagerduty',4,'{}',2,NULL,'done',1,0,NULL,1795635284.5752277,1795635284.4968543,1795635284.5752294,18.2,'','{"dedup_key": "captain-74483b01dce85baf"}');
INSERT INTO "effects" VALUES('74483b01dce85baf:root','root','slack',4,'{}',3,NULL,'done',1,1,1795635284.5884862,1795635284.5952294,1795635284.4968543,1795635284.595236,46.3,'','{"channel": "C0DDRRECPEE", "ts": "1795635284.594550"}');
INSERT INTO "effects" VALUES('74483b01dce85baf:ticket','ticket','jira',4,'{}',3,NULL,'gave_up',1,0,NULL,1795635284.5750053,1795635284.4968543,1795635284.5750108,3.7,'Jira refused to search (400): The value ''NOPE'' does not exist for the field ''project''; check the project key in captain.yml, and that the bot''s account may see that project.','{}');
INSERT INTO "effects" VALUES('de6f8757d04001b1:panel:1','panel','slack',3,'{}',6,'de6f8757d04001b1:root','done',1,0,NULL,1795635284.6671033,1795635284.498833,1795635284.6671107,41.9,'','{}');
INSERT INTO "effects" VALUES('de6f8757d04001b1:note:checks','note','slack',3,'{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50.0034 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542336 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727008 (want &lt;= 0.03)\n✔ *p95* PASS: 227.532 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}',4,'de6f8757d04001b1:root','done',1,1,1795635284.6507113,1795635284.6553478,1795635284.5686948,1795635284.6553547,32.3,'','{}');
INSERT INTO "effects" VALUES('74483b01dce85baf:panel:1','panel','slack',4,'{}',6,'74483b01dce85baf:root','done',1,0,NULL,1795635284.6556368,1795635284.5750108,1795635284.6556382,22.7,'','{}');
INSERT INTO "effects" VALUES('076c7aab19a9719c:page','page','pagerduty',5,'{}',2,NULL,'owed',0,0,NULL,1795635284.7238402,1795635284.7238402,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('076c7aab19a9719c:root','root','slack',5,'{}',3,NULL,'owed',0,1,1795635284.7455082,1795635284.7238402,1795635284.7238402,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('076c7aab19a9719c:ticket','ticket','jira',5,'{}',3,NULL,'owed',0,1,1795635284.7566664,1795635284.7238402,1795635284.7238402,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('076c7aab19a9719c:checks','checks','checks',5,'{}',3,NULL,'done',1,0,NULL,1795635284.7991357,1795635284.7238402,1795635284.799142,46.2,'','{"outcome": "PASS"}');
INSERT INTO "effects" VALUES('076c7aab19a9719c:note:checks','note','slack',5,'{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50.0034 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542336 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727008 (want &lt;= 0.03)\n✔ *p95* PASS: 227.532 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}',4,'076c7aab19a9719c:root','waiting',0,0,NULL,1795635284.799142,1795635284.799142,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('076c7aab19a9719c:panel:1','panel','slack',5,'{}',6,'076c7aab19a9719c:root','waiting',0,0,NULL,1795635284.8491418,1795635284.799142,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('a7cc1e77bb319d91:page','page','pagerduty',6,'{}',2,NULL,'retrying',2,0,NULL,1795635285.6680703,1795635284.805402,NULL,8.0,'PagerDuty answered 500: broken on purpose.','{}');
INSERT INTO "effects" VALUES('a7cc1e77bb319d91:root','root','slack',6,'{}',3,NULL,'owed',0,1,1795635284.838169,1795635284.805402,1795635284.805402,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('a7cc1e77bb319d91:ticket','ticket','jira',6,'{}',3,NULL,'owed',0,0,NULL,1795635284.805402,1795635284.805402,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('a7cc1e77bb319d91:checks','checks','checks',6,'{}',3,NULL,'done',1,0,NULL,1795635284.895099,1795635284.805402,1795635284.8951054,66.2,'','{"outcome": "PASS"}');
INSERT INTO "effects" VALUES('a7cc1e77bb319d91:panel:1','panel','slack',6,'{}',6,'a7cc1e77bb319d91:root','waiting',0,0,NULL,1795635284.8740954,1795635284.8240955,NULL,NULL,'','{}');
INSERT INTO "effects" VALUES('a7cc1e77bb319d91:note:checks','note','slack',6,'{"text": "✔ Checks of docs-api: PASS (6 PASS)", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*✔ Checks of docs-api: PASS (6 PASS)*"}}, {"type": "section", "text": {"type": "mrkdwn", "text": "✔ *rollout complete* PASS: deployments/docs-api in prod: 2 updated and 2 available of 2\n✔ *requests seen* PASS: 50.0034 req/s (want &gt; 0)\n✔ *error ratio* PASS: 0.000542336 (want &lt;= 0.01)\n✔ *errors now* PASS: 0.000727008 (want &lt;= 0.03)\n✔ *p95* PASS: 227.532 ms (want &lt;= 400)\n✔ *TLS failures* PASS: 0 per second (want &lt;= 0.5)"}}]}',4,'a7cc1e77bb319d91:root','waiting',0,0,NULL,1795635284.8951054,1795635284.8951054,NULL,NULL,'','{}');
CREATE TABLE inbox (
	"key" VARCHAR NOT NULL, 
	received_at FLOAT NOT NULL, 
	kind VARCHAR NOT NULL, 
	payload VARCHAR NOT NULL, 
	done_at FLOAT, 
	PRIMARY KEY ("key")
);
INSERT INTO "inbox" VALUES('slack:29106231425.87268968274.1a57b54e8fb61d8a92d5b313a441b493',1795635285.1367614,'command','{"user": "U0BYKESUMMB", "name": "alice", "channel": "C0UX245DEAE", "line": "incident ack INC-6", "response_url": "http://stand-ins.invalid/slack/hooks/response/KJVQIt632z-5fnhxdHWKD7-a"}',NULL);
CREATE TABLE incidents (
	number INTEGER NOT NULL, 
	uid VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	open_key VARCHAR, 
	service VARCHAR NOT NULL, 
	environment VARCHAR NOT NULL, 
	severity VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	about VARCHAR NOT NULL, 
	opened_at FLOAT NOT NULL, 
	opened_by VARCHAR NOT NULL, 
	paged_at FLOAT, 
	acked_at FLOAT, 
	acked_by VARCHAR NOT NULL, 
	resolved_at FLOAT, 
	resolved_by VARCHAR NOT NULL, 
	channel VARCHAR NOT NULL, 
	thread_ts VARCHAR NOT NULL, 
	ticket_key VARCHAR NOT NULL, 
	ticket_url VARCHAR NOT NULL, 
	checks VARCHAR NOT NULL, 
	panel INTEGER NOT NULL, 
	panel_owed BOOLEAN NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (uid), 
	UNIQUE (open_key)
);
INSERT INTO "incidents" VALUES(1,'e49da183fd759dba','prod/docs-api/docs-api-latency',NULL,'docs-api','prod','sev2','resolved long ago','resolved','alert','{"summary": "resolved long ago", "slo": "docs-api-latency", "burn": "fast", "alertname": "SLOBurnFast"}',1795635283.8922641,'Alertmanager',1795635284.0118084,NULL,'',1795635283.9825604,'Alertmanager','C0UX245DEAE','1795635284.116485','OPS-1','http://stand-ins.invalid/jira/browse/OPS-1','✔ PASS (6 of 6 passed)',2,0);
INSERT INTO "incidents" VALUES(2,'3c1d1d0e352117b6','prod/docs-api/docs-api-availability','prod/docs-api/docs-api-availability','docs-api','prod','sev2','acknowledged, everything done','acknowledged','alert','{"summary": "acknowledged, everything done", "slo": "docs-api-availability", "burn": "fast", "alertname": "SLOBurnFast"}',1795635284.278039,'Alertmanager',1795635284.299085,1795635284.4436076,'dora',NULL,'','C0UX245DEAE','1795635284.339370','OPS-2','http://stand-ins.invalid/jira/browse/OPS-2','✔ PASS (6 of 6 passed)',3,0);
INSERT INTO "incidents" VALUES(3,'de6f8757d04001b1','prod/docs-api/de6f8757d04001b1','prod/docs-api/de6f8757d04001b1','docs-api','prod','sev2','the certificate of docs-api ends tomorrow','triggered','person','{"summary": "the certificate of docs-api ends tomorrow"}',1795635284.4679701,'dora',1795635284.498833,NULL,'',NULL,'','C0UX245DEAE','1795635284.586649','OPS-3','http://stand-ins.invalid/jira/browse/OPS-3','✔ PASS (6 of 6 passed)',1,0);
INSERT INTO "incidents" VALUES(4,'74483b01dce85baf','prod/gateway/gateway-availability','prod/gateway/gateway-availability','gateway','prod','sev2','its ticket was given up','triggered','alert','{"summary": "its ticket was given up", "slo": "gateway-availability", "burn": "fast", "alertname": "SLOBurnFast"}',1795635284.486177,'Alertmanager',1795635284.5752294,NULL,'',NULL,'','C0DDRRECPEE','1795635284.594550','','','',1,0);
INSERT INTO "incidents" VALUES(5,'076c7aab19a9719c','prod/docs-api/docs-api-freshness','prod/docs-api/docs-api-freshness','docs-api','prod','sev2','page, message and ticket were made, and no answer came','triggered','alert','{"summary": "page, message and ticket were made, and no answer came", "slo": "docs-api-freshness", "burn": "fast", "alertname": "SLOBurnFast"}',1795635284.72079,'Alertmanager',NULL,NULL,'',NULL,'','','','','','✔ PASS (6 of 6 passed)',1,1);
INSERT INTO "incidents" VALUES(6,'a7cc1e77bb319d91','prod/docs-api/docs-api-throughput','prod/docs-api/docs-api-throughput','docs-api','prod','sev2','page refused so far, message and ticket on their way','triggered','alert','{"summary": "page refused so far, message and ticket on their way", "slo": "docs-api-throughput", "burn": "fast", "alertname": "SLOBurnFast"}',1795635284.797551,'Alertmanager',NULL,NULL,'',NULL,'','','','','','✔ PASS (6 of 6 passed)',1,1);
CREATE TABLE replicas (
	id VARCHAR NOT NULL, 
	seen FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "replicas" VALUES('recorded-1-7ecea5d2',1795635283.5753086);
CREATE TABLE timeline (
	id INTEGER NOT NULL, 
	incident INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	kind VARCHAR NOT NULL, 
	actor VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "timeline" VALUES(1,1,1795635283.9049892,'opened','Alertmanager','resolved long ago');
INSERT INTO "timeline" VALUES(2,1,1795635283.9825604,'resolved','Alertmanager','every alert has resolved');
INSERT INTO "timeline" VALUES(3,1,1795635284.0118084,'paged','PagerDuty','PagerDuty took the page');
INSERT INTO "timeline" VALUES(4,1,1795635284.1559002,'checks','Release Captain','docs-api: PASS');
INSERT INTO "timeline" VALUES(5,2,1795635284.2793334,'opened','Alertmanager','acknowledged, everything done');
INSERT INTO "timeline" VALUES(6,2,1795635284.299085,'paged','PagerDuty','PagerDuty took the page');
INSERT INTO "timeline" VALUES(7,2,1795635284.366678,'checks','Release Captain','docs-api: PASS');
INSERT INTO "timeline" VALUES(8,2,1795635284.4436076,'acknowledged','dora','by dora');
INSERT INTO "timeline" VALUES(9,3,1795635284.4679701,'opened','dora','the certificate of docs-api ends tomorrow');
INSERT INTO "timeline" VALUES(10,4,1795635284.4968543,'opened','Alertmanager','its ticket was given up');
INSERT INTO "timeline" VALUES(11,3,1795635284.498833,'paged','PagerDuty','PagerDuty took the page');
INSERT INTO "timeline" VALUES(12,3,1795635284.5686948,'checks','Release Captain','docs-api: PASS');
INSERT INTO "timeline" VALUES(13,4,1795635284.5750108,'effect','Release Captain','ticket could not be done: Jira refused to search (400): The value ''NOPE'' does not exist for the field ''project''; check the project key in captain.yml, and that the bot''s account may see that project.');
INSERT INTO "timeline" VALUES(14,4,1795635284.5752294,'paged','PagerDuty','PagerDuty took the page');
INSERT INTO "timeline" VALUES(15,5,1795635284.7238402,'opened','Alertmanager','page, message and ticket were made, and no answer came');
INSERT INTO "timeline" VALUES(16,5,1795635284.799142,'checks','Release Captain','docs-api: PASS');
INSERT INTO "timeline" VALUES(17,6,1795635284.805402,'opened','Alertmanager','page refused so far, message and ticket on their way');
INSERT INTO "timeline" VALUES(18,6,1795635284.8951054,'checks','Release Captain','docs-api: PASS');
CREATE INDEX ix_alerts_incident ON alerts (incident);
CREATE INDEX ix_alerts_undecided ON alerts (id) WHERE verdict IS NULL;
CREATE INDEX ix_incidents_service ON incidents (service);
CREATE INDEX ix_incidents_opened_at ON incidents (opened_at);
CREATE INDEX ix_timeline_incident ON timeline (incident);
CREATE INDEX ix_effects_about ON effects (about);
CREATE INDEX ix_effects_waiting ON effects ("after") WHERE state = 'waiting';
CREATE INDEX ix_effects_due ON effects (due_at) WHERE state IN ('owed', 'retrying');
CREATE INDEX ix_inbox_received_at ON inbox (received_at);
COMMIT;
