alter table datasources
  add column created_at timestamptz not null default now(),
  add column deleted_at timestamptz,
  drop constraint datasources_deployment_id_name_key;
-- A deleted one stays for the jobs that once used it, without its password, and its name is free.
create unique index datasources_by_name on datasources (deployment_id, name) where deleted_at is null;
