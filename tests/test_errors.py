import pickle

from divrec.errors import ConfigError, DataError


def test_a_message_says_what_where_got_and_how_to_mend_it():
    error = DataError("has no timestamps", where="log.csv", got=["user", "item"], mend="Map a column to timestamp.")
    assert str(error) == "log.csv: has no timestamps; got ['user', 'item']. Map a column to timestamp."


def test_long_values_are_shortened():
    assert len(str(ConfigError("bad", got="x" * 1000))) < 250


def test_errors_survive_the_way_between_processes():
    error = ConfigError("no such scale", where="beta_scale", got="loud", mend="Use raw.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.where) == (ConfigError, str(error), "beta_scale")
