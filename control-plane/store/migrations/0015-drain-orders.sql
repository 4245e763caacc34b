-- Set by the operator alone: a worker that drains by itself, and says so, may still be told to do it sooner.
alter table sessions add column drain_ordered boolean not null default false;
