BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	utc TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	object TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	"before" TEXT, 
	"after" TEXT, 
	reason TEXT NOT NULL, 
	row_hash TEXT NOT NULL, 
	prev_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "audit" VALUES(1,'2026-01-01T00:00:00.000000Z','older','add','{"key":"patient","kind":"patient","patient_id":"OLD"}',1,NULL,'{"key":"patient","kind_of_record":"patient","order":0,"patient_id":"OLD","text":"from before"}','','633c8f3308d6a3842d0922d2fbe606122ad1c85ce7d50adf51b463e2a815ce40','0000000000000000000000000000000000000000000000000000000000000000','1b582e1f60a3d8be0fccb5ce0897b14bc8052a8d28d5ea9083c914aaabf0a0ac');
INSERT INTO "audit" VALUES(2,'2026-01-01T00:00:00.000000Z','older','add','{"key":"course-1","kind":"course","patient_id":"OLD"}',1,NULL,'{"grade":"unknown","key":"course-1","kind_of_record":"course","n_fractions_planned":25,"order":10,"phases":[{"name":"whole course","volumes":[{"prescribed_gy":45.0,"structure":"PTV_4500"}]}],"references":[{"kind":"RTDOSE","uid":"1.2.840.1"}],"start":"unknown","text":"Pelvis, 45 Gy in 25 fractions.","title":"Course 1"}','','68d9fa1a722256722117e766554a3f6b8e8a5db2e4740c14dbb0a425f566c6bd','1b582e1f60a3d8be0fccb5ce0897b14bc8052a8d28d5ea9083c914aaabf0a0ac','0fc1e234937e939625188af9d8eb3eb1955b83b7082105e4af3b3b71a6cd111c');
INSERT INTO "audit" VALUES(3,'2026-01-01T00:00:00.000000Z','older','add','{"key":"mri","kind":"imaging","patient_id":"OLD"}',1,NULL,'{"findings":[{"is_abnormal":false,"statement":"nothing"}],"key":"mri","kind_of_record":"imaging","modality":"MRI","order":20,"text":"MRI"}','','13d19b684752170acb9a6328211d6733e906a0c72926d2a16e3a13359566f70e','0fc1e234937e939625188af9d8eb3eb1955b83b7082105e4af3b3b71a6cd111c','3c77683c615e925e90e6774a52e48253c76340e9af03047aca8ab231f6436730');
CREATE TABLE course_phases (
	row_id INTEGER NOT NULL, 
	parent_row INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT, 
	n_fractions_planned INTEGER, 
	n_fractions_delivered INTEGER, 
	start_date DATE, 
	end_date DATE, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_place_course_phases UNIQUE (parent_row, position), 
	FOREIGN KEY(parent_row) REFERENCES courses (row_id)
);
INSERT INTO "course_phases" VALUES(1,1,0,'whole course',NULL,NULL,NULL,NULL,'{}');
CREATE TABLE course_references (
	row_id INTEGER NOT NULL, 
	parent_row INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	kind TEXT, 
	uid TEXT, 
	sha256 TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_place_course_references UNIQUE (parent_row, position), 
	FOREIGN KEY(parent_row) REFERENCES courses (row_id)
);
INSERT INTO "course_references" VALUES(1,1,0,'RTDOSE','1.2.840.1',NULL,'{}');
CREATE TABLE courses (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	title TEXT, 
	site TEXT, 
	technique TEXT, 
	modality TEXT, 
	intent TEXT, 
	is_reirradiation BOOLEAN, 
	n_fractions_planned INTEGER, 
	n_fractions_delivered INTEGER, 
	delivered_dose_gy DOUBLE, 
	start_date DATE, 
	end_date DATE, 
	months_since_previous DOUBLE, 
	stop_reason TEXT, 
	grade TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_courses UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
INSERT INTO "courses" VALUES(1,2,1,'2026-01-01T00:00:00.000000Z',0,'68d9fa1a722256722117e766554a3f6b8e8a5db2e4740c14dbb0a425f566c6bd',10,'Pelvis, 45 Gy in 25 fractions.',NULL,NULL,NULL,'Course 1',NULL,NULL,NULL,NULL,NULL,25,NULL,NULL,NULL,NULL,NULL,NULL,'unknown','{"start": "unknown"}');
CREATE TABLE deaths (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	cause TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_deaths UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE diagnoses (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	title TEXT, 
	site TEXT, 
	histology TEXT, 
	stage TEXT, 
	stage_system TEXT, 
	is_metastatic BOOLEAN, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_diagnoses UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE follow_ups (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	is_alive BOOLEAN, 
	ecog INTEGER, 
	disease_status TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_follow_ups UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE imaging_findings (
	row_id INTEGER NOT NULL, 
	parent_row INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	statement TEXT, 
	site TEXT, 
	side TEXT, 
	is_abnormal BOOLEAN, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_place_imaging_findings UNIQUE (parent_row, position), 
	FOREIGN KEY(parent_row) REFERENCES imaging_studies (row_id)
);
INSERT INTO "imaging_findings" VALUES(1,1,0,'nothing',NULL,NULL,0,'{}');
CREATE TABLE imaging_studies (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	modality TEXT, 
	region TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_imaging_studies UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
INSERT INTO "imaging_studies" VALUES(1,3,1,'2026-01-01T00:00:00.000000Z',0,'13d19b684752170acb9a6328211d6733e906a0c72926d2a16e3a13359566f70e',20,'MRI',NULL,NULL,NULL,'MRI',NULL,'{}');
CREATE TABLE muscle_strengths (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	grade TEXT, 
	ordinal INTEGER, 
	scale TEXT, 
	side TEXT, 
	muscle_group TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_muscle_strengths UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE opioids (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	drug TEXT, 
	dose_mg DOUBLE, 
	every_hours DOUBLE, 
	route TEXT, 
	oral_morphine_mg_day DOUBLE, 
	conversion_table TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_opioids UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE patient_details (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	name TEXT, 
	birth_date DATE, 
	sex TEXT, 
	age_years INTEGER, 
	unknowns TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_patient_details UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
INSERT INTO "patient_details" VALUES(1,1,1,'2026-01-01T00:00:00.000000Z',0,'633c8f3308d6a3842d0922d2fbe606122ad1c85ce7d50adf51b463e2a815ce40',0,'from before',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
CREATE TABLE patients (
	patient_id TEXT NOT NULL, 
	added_utc TEXT NOT NULL, 
	PRIMARY KEY (patient_id)
);
INSERT INTO "patients" VALUES('OLD','2026-01-01T00:00:00.000000Z');
CREATE TABLE phase_volumes (
	row_id INTEGER NOT NULL, 
	parent_row INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	structure TEXT, 
	prescribed_gy DOUBLE, 
	planned_gy DOUBLE, 
	delivered_gy DOUBLE, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_place_phase_volumes UNIQUE (parent_row, position), 
	FOREIGN KEY(parent_row) REFERENCES course_phases (row_id)
);
INSERT INTO "phase_volumes" VALUES(1,1,0,'PTV_4500',45.0,NULL,NULL,'{}');
CREATE TABLE records (
	record_id INTEGER NOT NULL, 
	patient_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	PRIMARY KEY (record_id), 
	CONSTRAINT one_key_per_patient UNIQUE (patient_id, "key"), 
	FOREIGN KEY(patient_id) REFERENCES patients (patient_id)
);
INSERT INTO "records" VALUES(1,'OLD','patient','patient');
INSERT INTO "records" VALUES(2,'OLD','course-1','course');
INSERT INTO "records" VALUES(3,'OLD','mri','imaging');
CREATE TABLE statements (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	kind TEXT, 
	title TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_statements UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE surgeries (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	operation TEXT, 
	site TEXT, 
	findings TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_surgeries UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE symptoms (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	symptom TEXT, 
	scale TEXT, 
	lowest DOUBLE, 
	highest DOUBLE, 
	site TEXT, 
	side TEXT, 
	is_treated_site BOOLEAN, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_symptoms UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE systemic_drugs (
	row_id INTEGER NOT NULL, 
	parent_row INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	drug TEXT, 
	dose_mg DOUBLE, 
	every_days DOUBLE, 
	route TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_place_systemic_drugs UNIQUE (parent_row, position), 
	FOREIGN KEY(parent_row) REFERENCES systemic_therapies (row_id)
);
CREATE TABLE systemic_therapies (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	title TEXT, 
	setting TEXT, 
	n_cycles_planned INTEGER, 
	n_cycles_given INTEGER, 
	concurrent_with TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_systemic_therapies UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TABLE toxicities (
	row_id INTEGER NOT NULL, 
	record_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	recorded_utc TEXT NOT NULL, 
	is_withdrawn BOOLEAN NOT NULL, 
	row_hash TEXT NOT NULL, 
	story_order INTEGER, 
	text TEXT, 
	when_said TEXT, 
	on_date DATE, 
	source TEXT, 
	term TEXT, 
	system TEXT, 
	grade INTEGER, 
	attribution TEXT, 
	course TEXT, 
	absent TEXT NOT NULL, 
	PRIMARY KEY (row_id), 
	CONSTRAINT one_revision_toxicities UNIQUE (record_id, revision), 
	FOREIGN KEY(record_id) REFERENCES records (record_id)
);
CREATE TRIGGER patients_no_update BEFORE UPDATE ON patients
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: patients cannot be changed'); END;
CREATE TRIGGER patients_no_delete BEFORE DELETE ON patients
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: patients cannot be changed'); END;
CREATE TRIGGER records_no_update BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: records cannot be changed'); END;
CREATE TRIGGER records_no_delete BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: records cannot be changed'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: audit cannot be changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: audit cannot be changed'); END;
CREATE TRIGGER patient_details_no_update BEFORE UPDATE ON patient_details
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: patient_details cannot be changed'); END;
CREATE TRIGGER patient_details_no_delete BEFORE DELETE ON patient_details
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: patient_details cannot be changed'); END;
CREATE TRIGGER diagnoses_no_update BEFORE UPDATE ON diagnoses
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: diagnoses cannot be changed'); END;
CREATE TRIGGER diagnoses_no_delete BEFORE DELETE ON diagnoses
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: diagnoses cannot be changed'); END;
CREATE TRIGGER surgeries_no_update BEFORE UPDATE ON surgeries
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: surgeries cannot be changed'); END;
CREATE TRIGGER surgeries_no_delete BEFORE DELETE ON surgeries
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: surgeries cannot be changed'); END;
CREATE TRIGGER systemic_therapies_no_update BEFORE UPDATE ON systemic_therapies
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: systemic_therapies cannot be changed'); END;
CREATE TRIGGER systemic_therapies_no_delete BEFORE DELETE ON systemic_therapies
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: systemic_therapies cannot be changed'); END;
CREATE TRIGGER imaging_studies_no_update BEFORE UPDATE ON imaging_studies
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: imaging_studies cannot be changed'); END;
CREATE TRIGGER imaging_studies_no_delete BEFORE DELETE ON imaging_studies
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: imaging_studies cannot be changed'); END;
CREATE TRIGGER courses_no_update BEFORE UPDATE ON courses
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: courses cannot be changed'); END;
CREATE TRIGGER courses_no_delete BEFORE DELETE ON courses
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: courses cannot be changed'); END;
CREATE TRIGGER symptoms_no_update BEFORE UPDATE ON symptoms
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: symptoms cannot be changed'); END;
CREATE TRIGGER symptoms_no_delete BEFORE DELETE ON symptoms
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: symptoms cannot be changed'); END;
CREATE TRIGGER muscle_strengths_no_update BEFORE UPDATE ON muscle_strengths
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: muscle_strengths cannot be changed'); END;
CREATE TRIGGER muscle_strengths_no_delete BEFORE DELETE ON muscle_strengths
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: muscle_strengths cannot be changed'); END;
CREATE TRIGGER opioids_no_update BEFORE UPDATE ON opioids
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: opioids cannot be changed'); END;
CREATE TRIGGER opioids_no_delete BEFORE DELETE ON opioids
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: opioids cannot be changed'); END;
CREATE TRIGGER toxicities_no_update BEFORE UPDATE ON toxicities
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: toxicities cannot be changed'); END;
CREATE TRIGGER toxicities_no_delete BEFORE DELETE ON toxicities
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: toxicities cannot be changed'); END;
CREATE TRIGGER follow_ups_no_update BEFORE UPDATE ON follow_ups
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: follow_ups cannot be changed'); END;
CREATE TRIGGER follow_ups_no_delete BEFORE DELETE ON follow_ups
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: follow_ups cannot be changed'); END;
CREATE TRIGGER deaths_no_update BEFORE UPDATE ON deaths
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: deaths cannot be changed'); END;
CREATE TRIGGER deaths_no_delete BEFORE DELETE ON deaths
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: deaths cannot be changed'); END;
CREATE TRIGGER statements_no_update BEFORE UPDATE ON statements
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: statements cannot be changed'); END;
CREATE TRIGGER statements_no_delete BEFORE DELETE ON statements
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: statements cannot be changed'); END;
CREATE TRIGGER systemic_drugs_no_update BEFORE UPDATE ON systemic_drugs
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: systemic_drugs cannot be changed'); END;
CREATE TRIGGER systemic_drugs_no_delete BEFORE DELETE ON systemic_drugs
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: systemic_drugs cannot be changed'); END;
CREATE TRIGGER imaging_findings_no_update BEFORE UPDATE ON imaging_findings
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: imaging_findings cannot be changed'); END;
CREATE TRIGGER imaging_findings_no_delete BEFORE DELETE ON imaging_findings
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: imaging_findings cannot be changed'); END;
CREATE TRIGGER course_phases_no_update BEFORE UPDATE ON course_phases
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: course_phases cannot be changed'); END;
CREATE TRIGGER course_phases_no_delete BEFORE DELETE ON course_phases
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: course_phases cannot be changed'); END;
CREATE TRIGGER course_references_no_update BEFORE UPDATE ON course_references
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: course_references cannot be changed'); END;
CREATE TRIGGER course_references_no_delete BEFORE DELETE ON course_references
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: course_references cannot be changed'); END;
CREATE TRIGGER phase_volumes_no_update BEFORE UPDATE ON phase_volumes
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: phase_volumes cannot be changed'); END;
CREATE TRIGGER phase_volumes_no_delete BEFORE DELETE ON phase_volumes
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: phase_volumes cannot be changed'); END;
COMMIT;
