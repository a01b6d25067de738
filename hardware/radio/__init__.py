"""Radio and message gateways on serial lines: codecs pure, drivers thin on serial_link."""
