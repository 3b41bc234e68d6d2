"""The study database: the only SQL. Our tables are the truth, Optuna's study is their mirror."""
