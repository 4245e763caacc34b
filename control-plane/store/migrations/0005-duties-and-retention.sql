-- What one copy of the control plane does for all of them: the next time it is due.
create table duties (
  name text primary key,
  due_at timestamptz not null
);

-- Every pool there ever was a job or a worker for: its backlog is told also when it has neither.
create table pools (
  deployment_id uuid not null references deployments,
  name text not null,
  primary key (deployment_id, name)
);
insert into pools select deployment_id, pool from jobs union select deployment_id, pool from sessions;

create function remember_pool() returns trigger language plpgsql as $$
begin
  insert into pools (deployment_id, name) values (new.deployment_id, new.pool) on conflict do nothing;
  return null;
end $$;
create trigger remember_pool after insert on jobs for each row execute function remember_pool();
create trigger remember_pool after insert on sessions for each row execute function remember_pool();

-- When a job began to wait: retries put not_before later, waiting does not begin anew.
alter table jobs add column pending_since timestamptz, add column deleted_at timestamptz;
update jobs set pending_since = now() where state = 'pending';
update jobs set deleted_at = now() where state = 'deleted';

create function note_job_times() returns trigger language plpgsql as $$
begin
  if new.state = 'pending' then
    new.pending_since := case when old.state = 'pending' then old.pending_since else now() end;
  else
    new.pending_since := null;
  end if;
  if new.state = 'deleted' and old.state <> 'deleted' then
    new.deleted_at := now();
  end if;
  return new;
end $$;
create trigger note_job_times before update of state on jobs for each row execute function note_job_times();

create index jobs_deleted on jobs (deleted_at) where deleted_at is not null;
create index sessions_closed on sessions (closed_at) where closed_at is not null;
