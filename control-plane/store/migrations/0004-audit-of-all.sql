-- What concerns all deployments is chained under the nil UUID, which is no deployment. Deployments are never deleted.
alter table audit_log drop constraint audit_log_deployment_id_fkey;
alter table audit_heads drop constraint audit_heads_deployment_id_fkey;
