BEGIN TRANSACTION;
CREATE TABLE ups_ablation (
	run_id VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	submodule VARCHAR(64) NOT NULL, 
	layer INTEGER, 
	value DOUBLE NOT NULL, 
	"drop" DOUBLE NOT NULL, 
	CONSTRAINT pk_ups_ablation PRIMARY KEY (run_id, position), 
	CONSTRAINT fk_ups_ablation_run_id FOREIGN KEY(run_id) REFERENCES ups_run (id) ON DELETE CASCADE
);
INSERT INTO "ups_ablation" VALUES('4ed1cc22529140549bc91319c3ed8678',0,'prefix',NULL,0.6,0.1);
INSERT INTO "ups_ablation" VALUES('4ed1cc22529140549bc91319c3ed8678',1,'adapter',0,0.8,-0.1);
INSERT INTO "ups_ablation" VALUES('00cac124adfe4a65ae88110f1865a9be',0,'prefix',NULL,0.6,0.1);
INSERT INTO "ups_ablation" VALUES('00cac124adfe4a65ae88110f1865a9be',1,'adapter',0,0.8,-0.1);
CREATE TABLE ups_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ups_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ups_alembic_version" VALUES('0001');
CREATE TABLE ups_attempt (
	id INTEGER NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	owner VARCHAR(255) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	lease_expires DATETIME, 
	started DATETIME NOT NULL, 
	ended DATETIME, 
	error TEXT, 
	checkpoint_path TEXT, 
	checkpoint_step INTEGER, 
	CONSTRAINT pk_ups_attempt PRIMARY KEY (id), 
	CONSTRAINT uq_ups_attempt_run_id_number UNIQUE (run_id, number), 
	CONSTRAINT fk_ups_attempt_run_id FOREIGN KEY(run_id) REFERENCES ups_run (id) ON DELETE CASCADE, 
	CONSTRAINT ck_ups_attempt_state CHECK (state IN ('running', 'complete', 'failed', 'interrupted'))
);
INSERT INTO "ups_attempt" VALUES(1,'4ed1cc22529140549bc91319c3ed8678',1,'me','complete',NULL,'2026-11-25 14:25:12.969143','2026-11-25 14:25:12.991116',NULL,NULL,NULL);
INSERT INTO "ups_attempt" VALUES(2,'00cac124adfe4a65ae88110f1865a9be',1,'me','complete',NULL,'2026-11-25 14:25:13.018732','2026-11-25 14:25:13.025739',NULL,NULL,NULL);
CREATE TABLE ups_dropped (
	id INTEGER NOT NULL, 
	study_id VARCHAR(32) NOT NULL, 
	method VARCHAR(64) NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_ups_dropped PRIMARY KEY (id), 
	CONSTRAINT uq_ups_dropped_study_id_method_phase UNIQUE (study_id, method, phase), 
	CONSTRAINT fk_ups_dropped_study_id FOREIGN KEY(study_id) REFERENCES ups_study (id) ON DELETE CASCADE, 
	CONSTRAINT ck_ups_dropped_phase CHECK (phase IN ('screen', 'tune', 'confirm'))
);
CREATE TABLE ups_evaluation (
	run_id VARCHAR(32) NOT NULL, 
	step INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	epoch DOUBLE NOT NULL, 
	train_loss DOUBLE, 
	value DOUBLE NOT NULL, 
	seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_ups_evaluation PRIMARY KEY (run_id, step), 
	CONSTRAINT fk_ups_evaluation_run_id FOREIGN KEY(run_id) REFERENCES ups_run (id) ON DELETE CASCADE
);
INSERT INTO "ups_evaluation" VALUES('4ed1cc22529140549bc91319c3ed8678',0,1,0.0,NULL,0.3,0.1);
INSERT INTO "ups_evaluation" VALUES('4ed1cc22529140549bc91319c3ed8678',80,1,2.0,3.00000000000000044408e-01,0.75,1.5);
INSERT INTO "ups_evaluation" VALUES('4ed1cc22529140549bc91319c3ed8678',100,1,2.5,0.2,0.7,2.0);
INSERT INTO "ups_evaluation" VALUES('00cac124adfe4a65ae88110f1865a9be',0,1,0.0,NULL,0.3,0.1);
INSERT INTO "ups_evaluation" VALUES('00cac124adfe4a65ae88110f1865a9be',80,1,2.0,3.00000000000000044408e-01,0.7,1.5);
INSERT INTO "ups_evaluation" VALUES('00cac124adfe4a65ae88110f1865a9be',100,1,2.5,0.2,0.7,2.0);
CREATE TABLE ups_gate (
	run_id VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	epoch DOUBLE NOT NULL, 
	stack VARCHAR(16) NOT NULL, 
	layer INTEGER NOT NULL, 
	gate VARCHAR(64) NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	label TEXT, 
	n INTEGER NOT NULL, 
	mean DOUBLE NOT NULL, 
	sd DOUBLE NOT NULL, 
	q05 DOUBLE NOT NULL, 
	q25 DOUBLE NOT NULL, 
	q50 DOUBLE NOT NULL, 
	q75 DOUBLE NOT NULL, 
	q95 DOUBLE NOT NULL, 
	share_active DOUBLE NOT NULL, 
	contribution DOUBLE, 
	initial_mean DOUBLE NOT NULL, 
	CONSTRAINT pk_ups_gate PRIMARY KEY (run_id, position), 
	CONSTRAINT fk_ups_gate_run_id FOREIGN KEY(run_id) REFERENCES ups_run (id) ON DELETE CASCADE
);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',0,2.5,'encoder',1,'prefix','select',NULL,5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,0.05,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',1,2.5,'encoder',1,'prefix','select','grün',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',2,2.5,'encoder',1,'prefix','select','red',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',3,2.5,'encoder',1,'adapter','select',NULL,5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,0.05,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',4,2.5,'encoder',1,'adapter','select','grün',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',5,2.5,'encoder',1,'adapter','select','red',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',6,2.5,'encoder',0,'prefix','select',NULL,5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,0.05,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',7,2.5,'encoder',0,'prefix','select','grün',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',8,2.5,'encoder',0,'prefix','select','red',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',9,2.5,'encoder',0,'adapter','select',NULL,5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,0.05,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',10,2.5,'encoder',0,'adapter','select','grün',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
INSERT INTO "ups_gate" VALUES('00cac124adfe4a65ae88110f1865a9be',11,2.5,'encoder',0,'adapter','select','red',5,3.33333333333333314829e-01,0.1,0.1,0.2,0.3,0.4,0.9,0.2,NULL,0.5);
CREATE TABLE ups_notice (
	id INTEGER NOT NULL, 
	study_id VARCHAR(32) NOT NULL, 
	sentence_hash VARCHAR(64) NOT NULL, 
	sentence TEXT NOT NULL, 
	CONSTRAINT pk_ups_notice PRIMARY KEY (id), 
	CONSTRAINT uq_ups_notice_study_id_sentence_hash UNIQUE (study_id, sentence_hash), 
	CONSTRAINT fk_ups_notice_study_id FOREIGN KEY(study_id) REFERENCES ups_study (id) ON DELETE CASCADE
);
INSERT INTO "ups_notice" VALUES(1,'8053077a215b484b9b9bc399668d0785','49a4542fceff19b191e9c47c21657c64c2c7dd5bae86a96e261606259bca8704','A notice.');
CREATE TABLE ups_prediction (
	id INTEGER NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	row_count INTEGER NOT NULL, 
	CONSTRAINT pk_ups_prediction PRIMARY KEY (id), 
	CONSTRAINT uq_ups_prediction_run_id_split UNIQUE (run_id, split), 
	CONSTRAINT fk_ups_prediction_run_id FOREIGN KEY(run_id) REFERENCES ups_run (id) ON DELETE CASCADE
);
CREATE TABLE ups_run (
	id VARCHAR(32) NOT NULL, 
	trial_id INTEGER NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	seed_index INTEGER NOT NULL, 
	fold INTEGER NOT NULL, 
	data_seed BIGINT, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	error TEXT, 
	tune DOUBLE, 
	select_scores JSON, 
	test_scores JSON, 
	best_step INTEGER, 
	steps INTEGER, 
	checkpoint TEXT, 
	trained_parameters BIGINT, 
	stored_parameters BIGINT, 
	head_parameters BIGINT, 
	train_seconds DOUBLE, 
	predict_ms_per_example DOUBLE, 
	peak_memory_mb DOUBLE, 
	examples_trained BIGINT, 
	padding_share DOUBLE, 
	CONSTRAINT pk_ups_run PRIMARY KEY (id), 
	CONSTRAINT uq_ups_run_trial_id_seed_index_fold UNIQUE (trial_id, seed_index, fold), 
	CONSTRAINT fk_ups_run_trial_id FOREIGN KEY(trial_id) REFERENCES ups_trial (id) ON DELETE CASCADE, 
	CONSTRAINT ck_ups_run_phase CHECK (phase IN ('screen', 'tune', 'confirm')), 
	CONSTRAINT ck_ups_run_state CHECK (state IN ('waiting', 'running', 'complete', 'failed'))
);
INSERT INTO "ups_run" VALUES('4ed1cc22529140549bc91319c3ed8678',1,'screen',0,0,NULL,'complete',1,NULL,0.75,NULL,NULL,80,100,'runs/0/weights',3000000000,352824,1155,1.9,NULL,512.5,1600,0.125);
INSERT INTO "ups_run" VALUES('00cac124adfe4a65ae88110f1865a9be',1,'confirm',1,0,NULL,'complete',1,NULL,0.7,'{"accuracy": 0.7, "macro_f1": 0.6666666666666666}','{"accuracy": 0.6, "macro_f1": 0.55}',80,100,'runs/0/weights',3000000000,352824,1155,1.9,0.4,512.5,1600,0.125);
CREATE TABLE ups_study (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	spec JSON NOT NULL, 
	question_hash VARCHAR(16) NOT NULL, 
	task JSON NOT NULL, 
	software JSON NOT NULL, 
	command TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	created DATETIME NOT NULL, 
	wall_seconds DOUBLE NOT NULL, 
	CONSTRAINT pk_ups_study PRIMARY KEY (id), 
	CONSTRAINT uq_ups_study_name UNIQUE (name), 
	CONSTRAINT ck_ups_study_state CHECK (state IN ('running', 'complete', 'stopped', 'failed')), 
	CONSTRAINT ck_ups_study_phase CHECK (phase IN ('screen', 'tune', 'confirm'))
);
INSERT INTO "ups_study" VALUES('8053077a215b484b9b9bc399668d0785','first','{"name": "first", "task": {"data": "demo", "text": ["sentence"], "label": "label", "metric": "auto", "train_size": null, "carve": null, "max_length": 128}, "backbone": {"model": "minilm", "pooling": "auto"}, "space": {"methods": ["head", "bitfit", "lora", "adapter", "prefix", "unipelt_apl", "fine_tuning"], "steps": null, "batch_size": 16, "evaluations": 10, "patience": 5, "tune_rows": 500}, "budget": {"trials": 21, "seeds": 3, "time_seconds": null}, "seed": 7, "machine": {"device": "auto", "concurrency": null, "cpus_per_trial": 1.0, "gpus_per_trial": null, "address": null}}','28a63a2abf8b8155','{"name": "colours", "kind": "classification", "labels": ["red", "gr\u00fcn", "blue"], "rows": {"train": 30, "validation": 10, "test": 10, "tune": 5, "select": 5}, "metric": "accuracy", "direction": "maximize", "fingerprint": "abababababababab", "majority": {"select": {"accuracy": 0.4}, "test": {"accuracy": 0.3}}, "notices": ["5 rows had no label."]}','{"torch": "2.13.0"}','unipelt-search run --name first','running','screen','2026-11-25 14:25:12.867002',0.0);
CREATE TABLE ups_trial (
	id INTEGER NOT NULL, 
	study_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	method VARCHAR(64) NOT NULL, 
	variant VARCHAR(128), 
	spec JSON NOT NULL, 
	spec_hash VARCHAR(16) NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	value DOUBLE, 
	origin VARCHAR(32) NOT NULL, 
	created DATETIME NOT NULL, 
	optuna_trial_id INTEGER, 
	CONSTRAINT pk_ups_trial PRIMARY KEY (id), 
	CONSTRAINT uq_ups_trial_study_id_number UNIQUE (study_id, number), 
	CONSTRAINT fk_ups_trial_study_id FOREIGN KEY(study_id) REFERENCES ups_study (id) ON DELETE CASCADE, 
	CONSTRAINT ck_ups_trial_phase CHECK (phase IN ('screen', 'tune', 'confirm')), 
	CONSTRAINT ck_ups_trial_state CHECK (state IN ('running', 'complete', 'failed', 'stopped'))
);
INSERT INTO "ups_trial" VALUES(1,'8053077a215b484b9b9bc399668d0785',0,'unipelt_apl',NULL,'{"method": "unipelt_apl", "training": {"learning_rate": 0.001, "schedule": "linear", "warmup_share": 0.1, "weight_decay": 0.01, "clip_norm": 1.0, "batch_size": 16, "steps": 100, "evaluations": 10, "patience": 5, "dropout": 0.1}, "lora": {"rank": 8, "alpha": 16.0, "dropout": 0.0}, "adapter": {"bottleneck": 48, "activation": "gelu"}, "prefix": {"length": 10, "mlp": null}, "gate": {"lora": "replace", "prefix": "logit", "pooling": "tokens"}}','c1c822230a4753d6','confirm','complete',0.75,'published','2026-11-25 14:25:12.904888',1);
CREATE INDEX ix_ups_study_question_hash ON ups_study (question_hash);
CREATE INDEX ix_ups_trial_spec_hash ON ups_trial (spec_hash);
CREATE INDEX ix_ups_run_state ON ups_run (state);
COMMIT;
