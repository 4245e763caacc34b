-- Since when a pool has had neither a job nor a worker, as the last look found it.
alter table pools add column unused_since timestamptz;
