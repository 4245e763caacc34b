-- A job's steps change what no index holds where they can: its row is then written in place. The state is in no index; when a job was
-- deleted changes once.
drop index jobs_by_name;
create unique index jobs_by_name on jobs (deployment_id, name) where deleted_at is null;

-- Only what enters or leaves the state `pending` has anything to tell these.
drop trigger keep_ready_jobs on jobs;
create trigger keep_new_job_ready after insert on jobs
  for each row when (new.state = 'pending') execute function keep_ready_jobs();
create trigger keep_ready_jobs after update of state, not_before, priority on jobs
  for each row when ('pending' in (old.state, new.state)) execute function keep_ready_jobs();
drop trigger note_job_times on jobs;
create trigger note_job_times before update of state on jobs
  for each row when ('pending' in (old.state, new.state) or new.state = 'deleted') execute function note_job_times();
