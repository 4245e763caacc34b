-- Lists of workers are of open sessions: those that are closed outnumber them a hundred times before they are deleted for their age.
create index sessions_open on sessions (deployment_id, worker_id) where state = 'open';
