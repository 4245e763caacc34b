-- A job's datasources are its deployment's own. That the deployment exists is said by them.
alter table datasources add unique (deployment_id, id);
alter table jobs
  drop constraint jobs_source_id_fkey,
  drop constraint jobs_sink_id_fkey,
  drop constraint jobs_deployment_id_fkey,
  add foreign key (deployment_id, source_id) references datasources (deployment_id, id),
  add foreign key (deployment_id, sink_id) references datasources (deployment_id, id);
