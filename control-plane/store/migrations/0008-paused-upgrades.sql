-- An upgrade may rest: it still keeps others of its program from the pool.
alter table upgrades drop constraint upgrades_state_check;
update upgrades set state = 'aborted' where state = 'cancelled';
alter table upgrades add constraint upgrades_state_check
  check (state in ('running', 'paused', 'done', 'failed', 'aborted'));
drop index upgrades_running;
create unique index upgrades_open on upgrades (deployment_id, pool, program) where state in ('running', 'paused');
