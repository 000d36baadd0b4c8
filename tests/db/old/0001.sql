-- A database of schema 0001, as that version of the node left it after two studies: `sqlite3 .dump`.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE analysis (
	id INTEGER NOT NULL, 
	instance_id INTEGER NOT NULL, 
	model_set VARCHAR(64) NOT NULL, 
	models JSON NOT NULL, 
	commissioning BOOLEAN NOT NULL, 
	scores JSON NOT NULL, 
	reconstruction_error DOUBLE NOT NULL, 
	path VARCHAR(255) NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_analysis PRIMARY KEY (id), 
	CONSTRAINT fk_analysis_instance_id FOREIGN KEY(instance_id) REFERENCES instance (id), 
	CONSTRAINT uq_analysis_instance_id_model_set UNIQUE (instance_id, model_set)
);
INSERT INTO "analysis" VALUES(1,1,'6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517','{"classifier": {"role": "classifier", "name": "densenet121-res224-all (untrained)", "sha256": "056af6328b93e5ece2c8fcf6b242ac605eaee57c1cc014a773cf45c045ff8ba3"}, "segmenter": {"role": "segmenter", "name": "chestx_det (untrained)", "sha256": "65b72545c5803c145f7a5bc55d0651e515d092c6a36847103b2a8e50eb61a220"}, "autoencoder": {"role": "autoencoder", "name": "101-elastic (untrained)", "sha256": "c12288a1261f434e68d35ece1b0bbf09f370d735a0a9cfd3842e8e096cba6b9a"}}',1,'{"Atelectasis": 0.561677, "Consolidation": 0.029282, "Infiltration": 0.514231, "Pneumothorax": 0.009786, "Edema": 0.028041, "Emphysema": 0.503658, "Fibrosis": 0.522158, "Effusion": 0.509717, "Pneumonia": 0.748711, "Pleural_Thickening": 0.293828, "Cardiomegaly": 0.056398, "Nodule": 0.510301, "Mass": 0.505538, "Hernia": 0.141367, "Lung Lesion": 0.736721, "Fracture": 0.005576, "Lung Opacity": 0.535172, "Enlarged Cardiomediastinum": 0.07068}',3.06248931884765624995e+02,'spool/analyses/1.2.3.1/1.2.3.1.1.1-6f92cc9cb7dd5411.npz','2026-11-21T12:46:27.951948+00:00');
INSERT INTO "analysis" VALUES(2,4,'6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517','{"classifier": {"role": "classifier", "name": "densenet121-res224-all (untrained)", "sha256": "056af6328b93e5ece2c8fcf6b242ac605eaee57c1cc014a773cf45c045ff8ba3"}, "segmenter": {"role": "segmenter", "name": "chestx_det (untrained)", "sha256": "65b72545c5803c145f7a5bc55d0651e515d092c6a36847103b2a8e50eb61a220"}, "autoencoder": {"role": "autoencoder", "name": "101-elastic (untrained)", "sha256": "c12288a1261f434e68d35ece1b0bbf09f370d735a0a9cfd3842e8e096cba6b9a"}}',1,'{"Atelectasis": 0.560857, "Consolidation": 0.021417, "Infiltration": 0.521814, "Pneumothorax": 0.007562, "Edema": 0.021201, "Emphysema": 0.503646, "Fibrosis": 0.52622, "Effusion": 0.513851, "Pneumonia": 0.785098, "Pleural_Thickening": 0.277578, "Cardiomegaly": 0.043285, "Nodule": 0.514346, "Mass": 0.504933, "Hernia": 0.143087, "Lung Lesion": 0.75991, "Fracture": 0.003161, "Lung Opacity": 0.534268, "Enlarged Cardiomediastinum": 0.074191}',3.36185119628906250001e+02,'spool/analyses/1.2.3.2/1.2.3.2.1.1-6f92cc9cb7dd5411.npz','2026-11-21T12:46:41.019097+00:00');
CREATE TABLE audit_event (
	id INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	event VARCHAR(48) NOT NULL, 
	study_instance_uid VARCHAR(64), 
	sop_instance_uid VARCHAR(64), 
	detail VARCHAR NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit_event PRIMARY KEY (id)
);
INSERT INTO "audit_event" VALUES(1,'2026-11-21T12:45:22.002374+00:00','node.started',NULL,NULL,'{"commissioning":true,"name":"xrv-node"}','5c33fe5fa7f8cc142db7badb782b9a03243978c14ee60eb6f8e528675e14767e');
INSERT INTO "audit_event" VALUES(2,'2026-11-21T12:45:33.784498+00:00','instance.received','1.2.3.1','1.2.3.1.1.1','{"analyse":true,"calling_ae":"PACS","evidence":[{"attribute":"ViewPosition","indicates":"frontal","value":"PA"},{"attribute":"PatientOrientation","indicates":"frontal","value":"L\\F"},{"attribute":"BodyPartExamined","indicates":"chest","value":"CHEST"}],"reasons":["View Position PA: a frontal view.","Body Part Examined CHEST: the chest."],"sha256":"d85bbc6842150c542771917bb8bda4b5c1e3ba43612888e127570698fcd5f1f3","verdict":"frontal","view":"PA"}','4611f2538694d918e4220846d03e1d2a43f733cb6c4c9e7e488dc1cdb3436ac4');
INSERT INTO "audit_event" VALUES(3,'2026-11-21T12:45:33.815271+00:00','instance.received','1.2.3.1','1.2.3.1.1.2','{"analyse":false,"calling_ae":"PACS","evidence":[{"attribute":"ViewPosition","indicates":"lateral","value":"LL"},{"attribute":"PatientOrientation","indicates":"lateral","value":"A\\F"},{"attribute":"BodyPartExamined","indicates":"chest","value":"CHEST"}],"reasons":["View Position LL: a lateral view.","Body Part Examined CHEST: the chest."],"sha256":"5b32d5cf1d029ffdf109d5793aafb058ea6c67f628206dcd65bb11bafe285b70","verdict":"lateral","view":"LL"}','94dfc7acb12d4708ded36683a60c1d58e22ee3961fb4bdd2a4a7fbe911faf243');
INSERT INTO "audit_event" VALUES(4,'2026-11-21T12:45:33.883845+00:00','instance.received','1.2.3.1','1.2.3.1.1.3','{"analyse":true,"calling_ae":"PACS","evidence":[{"attribute":"ViewPosition","indicates":"frontal","value":"PA"},{"attribute":"PatientOrientation","indicates":"frontal","value":"L\\F"},{"attribute":"BodyPartExamined","indicates":"chest","value":"CHEST"}],"reasons":["View Position PA: a frontal view.","Body Part Examined CHEST: the chest."],"sha256":"4786a37e9b49a81f6b1de895f95dea298ecc553123fcb421da1ad677a32309c6","verdict":"frontal","view":"PA"}','faaaa051a37fb017bbfdb63bf4637029f189d51ebaa7107bd0c257cf34d705c4');
INSERT INTO "audit_event" VALUES(5,'2026-11-21T12:45:36.386725+00:00','study.closed','1.2.3.1',NULL,'{"revision":1,"why":"quiet for 1 s"}','689fcaed50fb3cc1ce19dc8c81536b5a4b770e39f5e6029a1acc1aa614142894');
INSERT INTO "audit_event" VALUES(6,'2026-11-21T12:46:16.582458+00:00','job.started',NULL,NULL,'{"attempt":1,"job":1,"kind":"analyse","owner":"vm/worker-0"}','e5606434ea335a7e1784803e9ac0d1baec28580cd5e7c66b94a8c3b77c750a57');
INSERT INTO "audit_event" VALUES(7,'2026-11-21T12:46:27.959429+00:00','instance.analysed','1.2.3.1','1.2.3.1.1.1','{"commissioning":true,"model_set":"6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517","models":{"autoencoder":"101-elastic (untrained)","classifier":"densenet121-res224-all (untrained)","segmenter":"chestx_det (untrained)"},"present":["Atelectasis","Infiltration","Emphysema","Fibrosis","Effusion","Pneumonia","Nodule","Mass","Lung Lesion","Lung Opacity"],"quality":[],"reconstruction_error":306.2489,"refused":false,"resampler":"gaussian-linear, zero border (skimage.transform.resize)","seconds":11.286,"ssim":0.71584}','58f5f4cfed506bcb09ad4e535520be8395231a6e627e5ca9bf6f6758688008f0');
INSERT INTO "audit_event" VALUES(8,'2026-11-21T12:46:27.981491+00:00','job.started',NULL,NULL,'{"attempt":1,"job":2,"kind":"analyse","owner":"vm/worker-0"}','2d1902fb773c71d06ee53ef53dd269360fdc02ee3efc96d0536d05a863c51ec9');
INSERT INTO "audit_event" VALUES(9,'2026-11-21T12:46:27.996439+00:00','job.parked','1.2.3.1','1.2.3.1.1.3','{"attempts":1,"error":"The pixel data are truncated: 1000 of 156000 bytes are there.","job":2,"kind":"analyse"}','203e7463849047aff100a0734210fac146c0a38970b3a87d4c203f017dc790b5');
INSERT INTO "audit_event" VALUES(10,'2026-11-21T12:46:28.018058+00:00','job.started',NULL,NULL,'{"attempt":1,"job":3,"kind":"report","owner":"vm/worker-0"}','6b36cbd410a733b8b3065eb5db06b48b316258eb49810f90de5583643abfaeeb');
INSERT INTO "audit_event" VALUES(11,'2026-11-21T12:46:31.449238+00:00','study.reported','1.2.3.1',NULL,'{"commissioning":true,"model_set":"6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517","results":{"2.25.196634931955039359510705196030622011860":"report","2.25.312759934450663164947034986101415642159":"sr","2.25.314999163281860245424767398799671195964":"seg"},"revision":1}','bb96ececf84adda64ebfe4a0f5af0f6fab13a0511014912bcdd7fa52e0da40f8');
INSERT INTO "audit_event" VALUES(12,'2026-11-21T12:46:31.560952+00:00','job.started',NULL,NULL,'{"attempt":1,"job":5,"kind":"deliver","owner":"vm/courier-0"}','d6cf4162ff52460a36791e6cf76dbea3678ea0309c9b42339e6acbf98b24d425');
INSERT INTO "audit_event" VALUES(13,'2026-11-21T12:46:31.563919+00:00','job.started',NULL,NULL,'{"attempt":1,"job":7,"kind":"deliver","owner":"vm/courier-0"}','e7006671ae51afad52538f8c08187658908df295ea1dfa2c8ccec499dacb5417');
INSERT INTO "audit_event" VALUES(14,'2026-11-21T12:46:31.568918+00:00','job.started',NULL,NULL,'{"attempt":1,"job":9,"kind":"deliver","owner":"vm/courier-0"}','a9d0016fb8f965890dd833f520ec946b69758de0f971b29e76f360634068123e');
INSERT INTO "audit_event" VALUES(15,'2026-11-21T12:46:31.586131+00:00','job.started',NULL,NULL,'{"attempt":1,"job":4,"kind":"deliver","owner":"vm/courier-0"}','995ddc8530ead9e87fc470cb1032c2fe2c9e0091e976009b8a33617c5594e533');
INSERT INTO "audit_event" VALUES(16,'2026-11-21T12:46:31.587810+00:00','job.started',NULL,NULL,'{"attempt":1,"job":6,"kind":"deliver","owner":"vm/courier-0"}','199629b1aea1fa7671d0e86edf24c93618b88cc430eee133f3b7d119cd9880d5');
INSERT INTO "audit_event" VALUES(17,'2026-11-21T12:46:31.588753+00:00','job.started',NULL,NULL,'{"attempt":1,"job":8,"kind":"deliver","owner":"vm/courier-0"}','f4ad5bd2272a501326eb9d1996c91161aff9a49fa1ce18d655ee2b6eb7b10ade');
INSERT INTO "audit_event" VALUES(18,'2026-11-21T12:46:31.634847+00:00','result.delivered','1.2.3.1','2.25.196634931955039359510705196030622011860','{"destination":"out","kind":"report","remark":"","status":null}','0d68e726f313e805a9a3eac910449def879384df00384f3720f5013848c88aef');
INSERT INTO "audit_event" VALUES(19,'2026-11-21T12:46:31.666854+00:00','result.delivered','1.2.3.1','2.25.312759934450663164947034986101415642159','{"destination":"out","kind":"sr","remark":"","status":null}','1f9f49238e2e48ccbb58b72c0b63eca8380d0fe55c224e2acaad70e421359f7c');
INSERT INTO "audit_event" VALUES(20,'2026-11-21T12:46:31.691088+00:00','result.delivered','1.2.3.1','2.25.314999163281860245424767398799671195964','{"destination":"out","kind":"seg","remark":"","status":null}','d35827829728e066134485423b098e423a5a0c976d5522990f056689dbbbd112');
INSERT INTO "audit_event" VALUES(21,'2026-11-21T12:46:31.713470+00:00','job.postponed','1.2.3.1','2.25.196634931955039359510705196030622011860','{"attempts":1,"destination":"pacs","error":"no association with PACS at 127.0.0.1:9: is it running and reachable?","job":5,"kind":"deliver","seconds":4.2}','f10e3a383931e664cd3cdca342099f140c4db5d1224e020dc72375f96569962b');
INSERT INTO "audit_event" VALUES(22,'2026-11-21T12:46:31.723566+00:00','job.postponed','1.2.3.1','2.25.312759934450663164947034986101415642159','{"attempts":1,"destination":"pacs","error":"no association with PACS at 127.0.0.1:9: is it running and reachable?","job":7,"kind":"deliver","seconds":4.7}','8331282c9a869d47e1515a957a994b9dcf82f0589c7cb016b927c40f558a91eb');
INSERT INTO "audit_event" VALUES(23,'2026-11-21T12:46:31.744599+00:00','job.postponed','1.2.3.1','2.25.314999163281860245424767398799671195964','{"attempts":1,"destination":"pacs","error":"no association with PACS at 127.0.0.1:9: is it running and reachable?","job":9,"kind":"deliver","seconds":5.1}','1ac557f7a28134cc8ecb5c412fec3a0780aa16f7860a4eb8dee5cdf87add5472');
INSERT INTO "audit_event" VALUES(24,'2026-11-21T12:46:32.680425+00:00','instance.received','1.2.3.2','1.2.3.2.1.1','{"analyse":true,"calling_ae":"PACS","evidence":[{"attribute":"ViewPosition","indicates":"frontal","value":"PA"},{"attribute":"PatientOrientation","indicates":"frontal","value":"L\\F"},{"attribute":"BodyPartExamined","indicates":"chest","value":"CHEST"}],"reasons":["View Position PA: a frontal view.","Body Part Examined CHEST: the chest."],"sha256":"550a6a48e9ca88d39f8001b4f5cb8f5f644937692d6956a1c68eab102764ef13","verdict":"frontal","view":"PA"}','5c5bd0cccbf37d3d64b30586a5cc6c1e0da1a679cc50b3bcc3271c3333adc05d');
INSERT INTO "audit_event" VALUES(25,'2026-11-21T12:46:32.705469+00:00','job.started',NULL,NULL,'{"attempt":1,"job":10,"kind":"analyse","owner":"vm/worker-0"}','3e6f080574c4caa6e242e4c059af48de4c927f8d31dc0494ac762a1943f411f1');
INSERT INTO "audit_event" VALUES(26,'2026-11-21T12:46:41.023793+00:00','instance.analysed','1.2.3.2','1.2.3.2.1.1','{"commissioning":true,"model_set":"6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517","models":{"autoencoder":"101-elastic (untrained)","classifier":"densenet121-res224-all (untrained)","segmenter":"chestx_det (untrained)"},"present":["Atelectasis","Infiltration","Emphysema","Fibrosis","Effusion","Pneumonia","Nodule","Mass","Lung Lesion","Lung Opacity"],"quality":[],"reconstruction_error":336.1851,"refused":false,"resampler":"gaussian-linear, zero border (skimage.transform.resize)","seconds":8.263,"ssim":0.71592}','a37a0586abf1d9df9c6b3971406156b404e5999cc84db99a37190e4bb0796865');
INSERT INTO "audit_event" VALUES(27,'2026-11-21T12:46:46.185154+00:00','node.stopped',NULL,NULL,'{"clean":true}','a198b87ceb2b0515e2fbff8b8a2864beb2d0f08366dce39108bd0695539ff13d');
CREATE TABLE audit_head (
	id INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit_head PRIMARY KEY (id)
);
INSERT INTO "audit_head" VALUES(1,27,'a198b87ceb2b0515e2fbff8b8a2864beb2d0f08366dce39108bd0695539ff13d');
CREATE TABLE delivery (
	id INTEGER NOT NULL, 
	result_id INTEGER NOT NULL, 
	destination VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	status VARCHAR(8), 
	error VARCHAR, 
	updated_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_delivery PRIMARY KEY (id), 
	CONSTRAINT fk_delivery_result_id FOREIGN KEY(result_id) REFERENCES result (id), 
	CONSTRAINT uq_delivery_result_id_destination UNIQUE (result_id, destination)
);
INSERT INTO "delivery" VALUES(1,1,'out','delivered',NULL,NULL,'2026-11-21T12:46:31.617343+00:00');
INSERT INTO "delivery" VALUES(2,1,'pacs','waiting',NULL,'no association with PACS at 127.0.0.1:9: is it running and reachable?','2026-11-21T12:46:31.705111+00:00');
INSERT INTO "delivery" VALUES(3,2,'out','delivered',NULL,NULL,'2026-11-21T12:46:31.665151+00:00');
INSERT INTO "delivery" VALUES(4,2,'pacs','waiting',NULL,'no association with PACS at 127.0.0.1:9: is it running and reachable?','2026-11-21T12:46:31.722078+00:00');
INSERT INTO "delivery" VALUES(5,3,'out','delivered',NULL,NULL,'2026-11-21T12:46:31.689355+00:00');
INSERT INTO "delivery" VALUES(6,3,'pacs','waiting',NULL,'no association with PACS at 127.0.0.1:9: is it running and reachable?','2026-11-21T12:46:31.741284+00:00');
CREATE TABLE instance (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	transfer_syntax_uid VARCHAR(64) NOT NULL, 
	modality VARCHAR(16) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	path VARCHAR(255) NOT NULL, 
	calling_ae VARCHAR(16) NOT NULL, 
	received_at VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	verdict VARCHAR(16) NOT NULL, 
	"view" VARCHAR(16), 
	reasons JSON NOT NULL, 
	evidence JSON NOT NULL, 
	error VARCHAR, 
	CONSTRAINT pk_instance PRIMARY KEY (id), 
	CONSTRAINT fk_instance_study_id FOREIGN KEY(study_id) REFERENCES study (id), 
	CONSTRAINT uq_instance_sop_instance_uid_sha256 UNIQUE (sop_instance_uid, sha256)
);
INSERT INTO "instance" VALUES(1,1,'1.2.3.1.1.1','1.2.840.10008.5.1.4.1.1.1','1.2.3.1.1','1.2.840.10008.1.2.1','CR','d85bbc6842150c542771917bb8bda4b5c1e3ba43612888e127570698fcd5f1f3',156746,'spool/inputs/1.2.3.1/1.2.3.1.1.1-d85bbc6842150c54.dcm','PACS','2026-11-21T12:45:33.720685+00:00','analysed','frontal','PA','["View Position PA: a frontal view.", "Body Part Examined CHEST: the chest."]','[{"attribute": "ViewPosition", "value": "PA", "indicates": "frontal"}, {"attribute": "PatientOrientation", "value": "L\\F", "indicates": "frontal"}, {"attribute": "BodyPartExamined", "value": "CHEST", "indicates": "chest"}]',NULL);
INSERT INTO "instance" VALUES(2,1,'1.2.3.1.1.2','1.2.840.10008.5.1.4.1.1.1','1.2.3.1.1','1.2.840.10008.1.2.1','CR','5b32d5cf1d029ffdf109d5793aafb058ea6c67f628206dcd65bb11bafe285b70',156746,'spool/inputs/1.2.3.1/1.2.3.1.1.2-5b32d5cf1d029ffd.dcm','PACS','2026-11-21T12:45:33.809804+00:00','skipped','lateral','LL','["View Position LL: a lateral view.", "Body Part Examined CHEST: the chest."]','[{"attribute": "ViewPosition", "value": "LL", "indicates": "lateral"}, {"attribute": "PatientOrientation", "value": "A\\F", "indicates": "lateral"}, {"attribute": "BodyPartExamined", "value": "CHEST", "indicates": "chest"}]',NULL);
INSERT INTO "instance" VALUES(3,1,'1.2.3.1.1.3','1.2.840.10008.5.1.4.1.1.1','1.2.3.1.1','1.2.840.10008.1.2.1','CR','4786a37e9b49a81f6b1de895f95dea298ecc553123fcb421da1ad677a32309c6',1746,'spool/inputs/1.2.3.1/1.2.3.1.1.3-4786a37e9b49a81f.dcm','PACS','2026-11-21T12:45:33.879877+00:00','failed','frontal','PA','["View Position PA: a frontal view.", "Body Part Examined CHEST: the chest."]','[{"attribute": "ViewPosition", "value": "PA", "indicates": "frontal"}, {"attribute": "PatientOrientation", "value": "L\\F", "indicates": "frontal"}, {"attribute": "BodyPartExamined", "value": "CHEST", "indicates": "chest"}]','The pixel data are truncated: 1000 of 156000 bytes are there.');
INSERT INTO "instance" VALUES(4,2,'1.2.3.2.1.1','1.2.840.10008.5.1.4.1.1.1','1.2.3.2.1','1.2.840.10008.1.2.1','CR','550a6a48e9ca88d39f8001b4f5cb8f5f644937692d6956a1c68eab102764ef13',156746,'spool/inputs/1.2.3.2/1.2.3.2.1.1-550a6a48e9ca88d3.dcm','PACS','2026-11-21T12:46:32.676855+00:00','analysed','frontal','PA','["View Position PA: a frontal view.", "Body Part Examined CHEST: the chest."]','[{"attribute": "ViewPosition", "value": "PA", "indicates": "frontal"}, {"attribute": "PatientOrientation", "value": "L\\F", "indicates": "frontal"}, {"attribute": "BodyPartExamined", "value": "CHEST", "indicates": "chest"}]',NULL);
CREATE TABLE job (
	id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	study_id INTEGER NOT NULL, 
	instance_id INTEGER, 
	delivery_id INTEGER, 
	attempts INTEGER NOT NULL, 
	max_attempts INTEGER NOT NULL, 
	not_before VARCHAR(32) NOT NULL, 
	lease VARCHAR(36), 
	owner VARCHAR(128), 
	lease_until VARCHAR(32), 
	error VARCHAR, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_job PRIMARY KEY (id), 
	CONSTRAINT ck_job_ck_job_kind CHECK (kind IN ('analyse', 'report', 'deliver')), 
	CONSTRAINT fk_job_delivery_id FOREIGN KEY(delivery_id) REFERENCES delivery (id), 
	CONSTRAINT fk_job_instance_id FOREIGN KEY(instance_id) REFERENCES instance (id), 
	CONSTRAINT fk_job_study_id FOREIGN KEY(study_id) REFERENCES study (id)
);
INSERT INTO "job" VALUES(1,'analyse','done',1,1,NULL,1,5,'2026-11-21T12:45:33.788605+00:00',NULL,'vm/worker-0',NULL,NULL,'2026-11-21T12:45:33.788605+00:00','2026-11-21T12:46:27.956208+00:00');
INSERT INTO "job" VALUES(2,'analyse','parked',1,3,NULL,1,5,'2026-11-21T12:45:33.884850+00:00',NULL,'vm/worker-0',NULL,'The pixel data are truncated: 1000 of 156000 bytes are there.','2026-11-21T12:45:33.884850+00:00','2026-11-21T12:46:27.993689+00:00');
INSERT INTO "job" VALUES(3,'report','done',1,NULL,NULL,1,5,'2026-11-21T12:46:27.999538+00:00',NULL,'vm/worker-0',NULL,NULL,'2026-11-21T12:46:27.999538+00:00','2026-11-21T12:46:31.448553+00:00');
INSERT INTO "job" VALUES(4,'deliver','done',1,NULL,1,1,300,'2026-11-21T12:46:31.441105+00:00',NULL,'vm/courier-0',NULL,NULL,'2026-11-21T12:46:31.441105+00:00','2026-11-21T12:46:31.619509+00:00');
INSERT INTO "job" VALUES(5,'deliver','queued',1,NULL,2,1,300,'2026-11-21T12:46:35.886564+00:00',NULL,'vm/courier-0',NULL,'no association with PACS at 127.0.0.1:9: is it running and reachable?','2026-11-21T12:46:31.441787+00:00','2026-11-21T12:46:31.706218+00:00');
INSERT INTO "job" VALUES(6,'deliver','done',1,NULL,3,1,300,'2026-11-21T12:46:31.442500+00:00',NULL,'vm/courier-0',NULL,NULL,'2026-11-21T12:46:31.442500+00:00','2026-11-21T12:46:31.665883+00:00');
INSERT INTO "job" VALUES(7,'deliver','queued',1,NULL,4,1,300,'2026-11-21T12:46:36.375285+00:00',NULL,'vm/courier-0',NULL,'no association with PACS at 127.0.0.1:9: is it running and reachable?','2026-11-21T12:46:31.442833+00:00','2026-11-21T12:46:31.722805+00:00');
INSERT INTO "job" VALUES(8,'deliver','done',1,NULL,5,1,300,'2026-11-21T12:46:31.443440+00:00',NULL,'vm/courier-0',NULL,NULL,'2026-11-21T12:46:31.443440+00:00','2026-11-21T12:46:31.690148+00:00');
INSERT INTO "job" VALUES(9,'deliver','queued',1,NULL,6,1,300,'2026-11-21T12:46:36.866552+00:00',NULL,'vm/courier-0',NULL,'no association with PACS at 127.0.0.1:9: is it running and reachable?','2026-11-21T12:46:31.443893+00:00','2026-11-21T12:46:31.741934+00:00');
INSERT INTO "job" VALUES(10,'analyse','done',2,4,NULL,1,5,'2026-11-21T12:46:32.680968+00:00',NULL,'vm/worker-0',NULL,NULL,'2026-11-21T12:46:32.680968+00:00','2026-11-21T12:46:41.019261+00:00');
CREATE TABLE result (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	revision INTEGER NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	model_set VARCHAR(64) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	path VARCHAR(255) NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_result PRIMARY KEY (id), 
	CONSTRAINT fk_result_study_id FOREIGN KEY(study_id) REFERENCES study (id), 
	CONSTRAINT uq_result_sop_instance_uid UNIQUE (sop_instance_uid)
);
INSERT INTO "result" VALUES(1,1,'report',1,'1.2.840.10008.5.1.4.1.1.88.22','2.25.196634931955039359510705196030622011860','2.25.7617503038727692801399829393340914291','6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517','ea13e02c82199f6bca0b0c25b0c35643e806d9af333f8a4d48573924b3b56236',16062,'spool/results/1.2.3.1/2.25.196634931955039359510705196030622011860.dcm','2026-11-21T12:46:31.320219+00:00');
INSERT INTO "result" VALUES(2,1,'sr',1,'1.2.840.10008.5.1.4.1.1.88.34','2.25.312759934450663164947034986101415642159','2.25.121676142494761564321488185285972121683','6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517','402dca105d57e28928c10e3eacab5dab1bb2712d60924d3b09fc9251f0bb0833',36594,'spool/results/1.2.3.1/2.25.312759934450663164947034986101415642159.dcm','2026-11-21T12:46:31.392648+00:00');
INSERT INTO "result" VALUES(3,1,'seg',1,'1.2.840.10008.5.1.4.1.1.66.4','2.25.314999163281860245424767398799671195964','2.25.298274086510887098519130804109726722804','6f92cc9cb7dd54111726c6d4a3e4f9bbee99c94497796b8ba5b5be2d6f505517','ed37b44e570da42f186932f67f2521dd196781a8cb4672b6d59b0c9a62c6487c',156680,'spool/results/1.2.3.1/2.25.314999163281860245424767398799671195964.dcm','2026-11-21T12:46:31.426010+00:00');
CREATE TABLE study (
	id INTEGER NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	revision INTEGER NOT NULL, 
	received_at VARCHAR(32) NOT NULL, 
	closed_at VARCHAR(32), 
	reported_at VARCHAR(32), 
	CONSTRAINT pk_study PRIMARY KEY (id), 
	CONSTRAINT uq_study_study_instance_uid UNIQUE (study_instance_uid)
);
INSERT INTO "study" VALUES(1,'1.2.3.1','reported',1,'2026-11-21T12:45:33.879877+00:00','2026-11-21T12:45:36.359635+00:00','2026-11-21T12:46:31.449686+00:00');
INSERT INTO "study" VALUES(2,'1.2.3.2','open',0,'2026-11-21T12:46:32.676855+00:00',NULL,NULL);
CREATE INDEX ix_audit_event_event ON audit_event (event);
CREATE INDEX ix_audit_event_study_instance_uid ON audit_event (study_instance_uid);
CREATE INDEX ix_study_state_received_at ON study (state, received_at);
CREATE INDEX ix_instance_study_id ON instance (study_id);
CREATE INDEX ix_result_study_id ON result (study_id);
CREATE INDEX ix_delivery_destination ON delivery (destination);
CREATE INDEX ix_job_delivery_id ON job (delivery_id);
CREATE INDEX ix_job_instance_id ON job (instance_id);
CREATE INDEX ix_job_owner ON job (owner);
CREATE INDEX ix_job_state_kind_not_before ON job (state, kind, not_before);
CREATE INDEX ix_job_study_id ON job (study_id);
CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
COMMIT;
