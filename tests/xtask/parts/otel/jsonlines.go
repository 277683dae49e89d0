package main

import (
	"context"
	"errors"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// The exporter `jsonlines` appends what arrives to a file, one OTLP/JSON request a line, before the sender gets its
// answer: a test reads what the collector acknowledged.

type jsonLinesConfig struct {
	// File to append to; made when it does not exist.
	Path string `mapstructure:"path"`
}

func (c *jsonLinesConfig) Validate() error {
	if c.Path == "" {
		return errors.New("path must be set")
	}
	return nil
}

func newJSONLinesFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("jsonlines"),
		func() component.Config { return &jsonLinesConfig{} },
		exporter.WithTraces(jsonTraces, component.StabilityLevelDevelopment),
		exporter.WithLogs(jsonLogs, component.StabilityLevelDevelopment),
		exporter.WithMetrics(jsonMetrics, component.StabilityLevelDevelopment),
	)
}

// lines is one file; whole lines are written, in one call each.
type lines struct {
	path string
	lock sync.Mutex
	file *os.File
}

func (l *lines) open(context.Context, component.Host) (err error) {
	l.file, err = os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

func (l *lines) close(context.Context) error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func (l *lines) write(line []byte, err error) error {
	if err != nil {
		return err
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	_, err = l.file.Write(append(line, '\n'))
	return err
}

func jsonTraces(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	out, to := &lines{path: config.(*jsonLinesConfig).Path}, ptrace.JSONMarshaler{}
	push := func(_ context.Context, data ptrace.Traces) error { return out.write(to.MarshalTraces(data)) }
	return exporterhelper.NewTraces(ctx, set, config, push, exporterhelper.WithStart(out.open), exporterhelper.WithShutdown(out.close))
}

func jsonLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	out, to := &lines{path: config.(*jsonLinesConfig).Path}, plog.JSONMarshaler{}
	push := func(_ context.Context, data plog.Logs) error { return out.write(to.MarshalLogs(data)) }
	return exporterhelper.NewLogs(ctx, set, config, push, exporterhelper.WithStart(out.open), exporterhelper.WithShutdown(out.close))
}

func jsonMetrics(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
	out, to := &lines{path: config.(*jsonLinesConfig).Path}, pmetric.JSONMarshaler{}
	push := func(_ context.Context, data pmetric.Metrics) error { return out.write(to.MarshalMetrics(data)) }
	return exporterhelper.NewMetrics(ctx, set, config, push, exporterhelper.WithStart(out.open), exporterhelper.WithShutdown(out.close))
}
